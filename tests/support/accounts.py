"""Real people on a real server: the first administrator through the printed link, further users, signed-in clients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx

from . import services
from .server import ServerProcess

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of one server, with what signing in gave."""

    base_url: str
    id: str
    email: str
    password: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves who asks."""
        return {"Authorization": f"Bearer {self.access_token}"}

    def client(self, **options: Any) -> httpx.Client:
        """A client that asks as this user. Close it, or use it in a `with` block."""
        return httpx.Client(**self._options(options))

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """The same for asynchronous tests."""
        return httpx.AsyncClient(**self._options(options))

    def ticket(self) -> str:
        """A ticket that opens one socket, as `/ws?ticket=…`."""
        with self.client() as client:
            answer = client.post("/api/tickets")
        assert answer.is_success, f"/api/tickets answered {answer.status_code}: {answer.text}"
        return str(answer.json()["ticket"])

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        plain = {"trust_env": False, "verify": False}  # no proxy, and no certificates to load for plain HTTP
        return {"base_url": self.base_url, "headers": self.headers, "timeout": 30, **plain, **options}


def set_up_admin(server: ServerProcess, email: str = "admin@example.com", password: str = PASSWORD) -> Account:
    """Create the first administrator of a fresh server with the token it printed."""
    body = {"token": server.setup_token, "email": email, "password": password, "name": "Admin"}
    return _account(server.base_url, password, _post(server.base_url, "/api/auth/setup", body))


def register(base_url: str, email: str | None = None, password: str = PASSWORD) -> Account:
    """A new user of a server that allows registration (`NETRA_ALLOW_REGISTRATION=true`)."""
    email = email or f"user{next(_numbers)}@example.com"
    return _account(base_url, password, _post(base_url, "/api/auth/register", {"email": email, "password": password}))


def sign_in(base_url: str, email: str, password: str = PASSWORD) -> Account:
    """An existing user, signed in."""
    return _account(base_url, password, _post(base_url, "/api/auth/login", {"email": email, "password": password}))


def _post(base_url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    services.need(services.AUTHENTICATED, "somebody who signs in")
    answer = httpx.post(base_url + path, json=body, timeout=30, trust_env=False, verify=False)
    assert answer.is_success, f"{path} answered {answer.status_code}: {answer.text}"
    return dict(answer.json())


def _account(base_url: str, password: str, body: dict[str, Any]) -> Account:
    user = body["user"]
    return Account(base_url, user["id"], user["email"], password, body["access_token"], body["refresh_token"])
