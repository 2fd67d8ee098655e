"""Reading headers: bearer, cookie, origin, client address."""

from __future__ import annotations

import pytest
from fastapi import Request, Response
from hypothesis import given
from hypothesis import strategies as st

from netra.clock import SystemClock
from netra.config import Settings
from netra.errors import ConfigurationError
from netra.gateway.http.security import Doors, bearer_of, cookie_of, origin_allowed
from netra.identity import Identity
from netra.storage import Database
from netra.storage.audit import AuditLog

LOCAL = Settings(host="127.0.0.1", port=8000)
PUBLIC = Settings(public_url="https://netra.example", allowed_origins=["https://partner.example:8443"])


def doors(settings: Settings) -> Doors:
    database, clock = Database("sqlite:////unused/netra.db"), SystemClock()
    return Doors(Identity(database, clock, settings, AuditLog(database, clock)), settings)


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    client = None if peer is None else (peer, 1)
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "client": client})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER abc", "abc"),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("Bearerabc", None),
        ("abc", None),
    ],
)
def test_bearer(header: str | None, token: str | None) -> None:
    assert bearer_of(header) == token


def test_the_cookie_of_a_secure_server_has_the_name_that_cannot_be_planted() -> None:
    assert cookie_of("a=1; netra_session=x; b=2", LOCAL) == "x"
    assert cookie_of("netra_session=x", PUBLIC) is None
    assert cookie_of("netra_session=x; __Host-netra_session=y", PUBLIC) == "y"
    assert cookie_of("__Host-netra_session=y", LOCAL) is None
    for header in (None, "", "netra_session", "netra_session=", "xnetra_session=1", "a=netra_session=1", ";;=;"):
        assert cookie_of(header, LOCAL) is None, header


@pytest.mark.parametrize(
    ("origin", "host", "settings", "allowed"),
    [
        ("http://localhost:8000", "localhost:8000", LOCAL, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", LOCAL, True),
        ("http://[::1]:8000", "[::1]:8000", LOCAL, True),
        ("http://netra.lan", "netra.lan", LOCAL, True),
        ("http://NETRA.lan:80", "netra.lan", LOCAL, True),
        ("http://evil.example", "localhost:8000", LOCAL, False),
        ("http://localhost:8001", "127.0.0.1:8000", LOCAL, False),
        ("http://localhost:8000.evil.example", "127.0.0.1:8000", LOCAL, False),
        ("http://localhost:8000@evil.example", "127.0.0.1:8000", LOCAL, False),
        ("http://user@127.0.0.1:8000", "127.0.0.1:8000", LOCAL, False),
        ("null", "localhost:8000", LOCAL, False),
        ("", "", LOCAL, False),
        (None, "localhost:8000", LOCAL, False),
        ("file://", "localhost:8000", LOCAL, False),
        ("http://x:99999", "x:99999", LOCAL, False),
        ("chrome-extension://abc", "abc", LOCAL, False),
        ("https://netra.example", "anything", PUBLIC, True),
        ("https://netra.example:443", None, PUBLIC, True),
        ("https://partner.example:8443", "netra.example", PUBLIC, True),
        ("https://partner.example", "netra.example", PUBLIC, False),
        ("http://netra.example", "netra.example", PUBLIC, False),
        ("https://evil.example", "evil.example", PUBLIC, False),
    ],
)
def test_origins(origin: str | None, host: str | None, settings: Settings, allowed: bool) -> None:
    assert origin_allowed(origin, host, settings) is allowed


@given(st.text(max_size=40), st.none() | st.text(max_size=40), st.none() | st.text(max_size=80))
def test_headers_of_any_form_are_read_without_failing(origin: str, host: str | None, cookie: str | None) -> None:
    assert origin_allowed(origin, host, PUBLIC) in (False, origin == "https://netra.example")
    origin_allowed(origin, host, LOCAL)
    cookie_of(cookie, LOCAL)
    bearer_of(cookie)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.9 , 192.168.3.4"], "203.0.113.9"),
        ("10.0.0.1", ["192.168.3.4, 192.168.3.5"], "192.168.3.4"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9,"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.2", ["203.0.113.9"], "10.0.0.2"),
        (None, ["203.0.113.9"], ""),
        ("/run/socket", ["203.0.113.9"], "/run/socket"),
    ],
)
def test_address(peer: str | None, forwarded: list[str], address: str) -> None:
    settings = Settings(trusted_proxies=["10.0.0.1", "192.168.0.0/16"])
    assert doors(settings).address(request(peer, *forwarded)) == address


def test_a_proxy_that_is_no_address_is_noticed_at_start() -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        doors(Settings(trusted_proxies=["proxy.internal"]))


def test_the_cookie_is_dropped_with_the_attributes_it_was_set_with() -> None:
    for settings in (LOCAL, PUBLIC):
        kept, dropped = Response(), Response()
        doors(settings).keep_cookie(kept, "value", 60)
        doors(settings).drop_cookie(dropped)

        def attributes(response: Response) -> set[str]:
            parts = {part.strip() for part in response.headers["set-cookie"].split(";")[1:]}
            return {part for part in parts if not part.lower().startswith(("max-age", "expires"))}

        assert attributes(kept) == attributes(dropped)
        assert "httponly" in {part.lower() for part in attributes(kept)}
