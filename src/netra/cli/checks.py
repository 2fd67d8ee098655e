"""The checks of `netra doctor`. Each looks at one thing, never raises for what it finds, and says what to do."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

import netra
from netra.config import MIB, Settings
from netra.errors import NetraError
from netra.storage.database import parse_url, sync_engine

__all__ = ["Finding", "examine"]

T = TypeVar("T")

_TIMEOUT = 3.0
_LEAST_FREE = 512 * MIB
_ANY_HOST = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `fail` means the server cannot work like this; `note` is worth knowing."""

    subject: str
    level: Literal["ok", "note", "fail"]
    text: str
    advice: str | None = None


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which problems should be solved."""
    findings = [_python(), _data_directory(settings)]
    findings += _database(settings)
    port = _port(settings)
    findings += [_page(), _agents(settings), _alerts(settings), port]
    if port.level != "fail" or settings.public_url is not None:
        findings += _browser(settings)
    return findings


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("netra", "ok", f"version {netra.__version__} on Python {version}, {sys.platform}")


def _data_directory(settings: Settings) -> Finding:
    subject, directory = "data directory", settings.data_dir.absolute()
    if not directory.exists():
        parent = next(path for path in directory.parents if path.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return Finding(subject, "ok", f"{directory} does not exist yet; the first start creates it")
        advice = f"Create it, or name one you may write to with --data-dir. You may not write to {parent}."
        return Finding(subject, "fail", f"{directory} does not exist and cannot be created", advice)
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-"):
            pass
    except OSError as error:
        advice = f"Let this user (id {os.getuid()}) write there, or name another with --data-dir."
        return Finding(subject, "fail", f"{directory} cannot be written: {error.strerror}", advice)
    free = shutil.disk_usage(directory).free
    if free < _LEAST_FREE:
        advice = "Free some space: a full disk stops every write."
        return Finding(subject, "fail", f"{directory} has only {free // MIB} MiB left", advice)
    if directory.stat().st_mode & 0o007:
        advice = f"It holds everybody's conversations and keys. Close it: chmod 700 {directory}"
        return Finding(subject, "note", f"{directory} can be read by other users of this machine", advice)
    return Finding(subject, "ok", f"{directory}, {free // MIB // 1024} GiB free")


def _database(settings: Settings) -> list[Finding]:
    try:
        url = parse_url(settings.database)
    except NetraError as error:
        return [Finding("database", "fail", error.message, error.hint)]
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        where = f"{url.database} does not exist yet; the first start creates it"
        return [Finding("database", "ok", f"SQLite, {where}")]
    engine = sync_engine(url)
    try:
        with engine.connect() as connection:
            kind = _postgres if url.get_backend_name() == "postgresql" else _sqlite
            return [kind(connection), _migrations(connection), _administrator(connection)]
    except (SQLAlchemyError, OSError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        advice = "Check database_url, that the database server runs, and that it lets this machine in."
        return [Finding("database", "fail", f"{url.render_as_string()} cannot be used: {cause}", advice)]
    finally:
        engine.dispose()


def _sqlite(connection: Connection) -> Finding:
    version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
    verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if verdict != "ok":
        advice = "Stop the server, keep a copy of the file, and restore a backup."
        return Finding("database", "fail", f"SQLite {version} reports damage: {verdict}", advice)
    return Finding("database", "ok", f"SQLite {version}, the file is sound")


def _postgres(connection: Connection) -> Finding:
    version = connection.execute(text("SHOW server_version")).scalar_one()
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        advice = "Create the database with ENCODING 'UTF8' TEMPLATE template0."
        return Finding("database", "fail", f"PostgreSQL {version} with encoding {encoding}", advice)
    free = int(
        connection.execute(
            text("SELECT current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity)")
        ).scalar_one()
    )
    if free < 30:
        advice = "Raise max_connections in postgresql.conf, or put a pooler in session mode before it."
        return Finding("database", "note", f"PostgreSQL {version} has room for only {free} more connections", advice)
    return Finding("database", "ok", f"PostgreSQL {version}, UTF8")


def _migrations(connection: Connection) -> Finding:
    from netra.storage.migrate import current, newest

    have, want = current(connection), newest()
    if have is not None and have > want:
        advice = "Install the version of Netra that wrote it, or a newer one."
        return Finding("migrations", "fail", f"the database is at {have}, this version knows up to {want}", advice)
    if have != want:
        advice = "netra serve does it when it starts; netra migrate does it now. Make a backup first."
        return Finding(
            "migrations", "note", f"the database is at {have or 'nothing'}, this version needs {want}", advice
        )
    return Finding("migrations", "ok", f"at revision {have}, the newest")


def _administrator(connection: Connection) -> Finding:
    from sqlalchemy import select

    from netra.storage.tables import users

    try:
        roles = connection.execute(select(users.c.roles).where(users.c.disabled_at.is_(None))).scalars().all()
    except SQLAlchemyError:
        return Finding("users", "note", "the table of users does not exist yet", "It comes with: netra migrate")
    administrators = sum("admin" in held.split(",") for held in roles)
    if not administrators:
        advice = "Open the link that netra serve prints, or use: netra user add EMAIL --admin"
        return Finding("users", "note", "there is no administrator yet", advice)
    return Finding("users", "ok", f"{len(roles)} active, {administrators} of them administrators")


def _page() -> Finding:
    page = Path(netra.__file__).parent / "_ui"
    if not (page / "index.html").is_file():
        advice = (
            "Install again without NETRA_UI_BUILD=0 (pip install .), or take a released wheel: it carries the page."
        )
        return Finding("page", "note", "this install has no page, only the API", advice)
    size = sum(path.stat().st_size for path in page.rglob("*") if path.is_file())
    return Finding("page", "ok", f"in {page}, {size // 1024} KiB")


def _agents(settings: Settings) -> Finding:
    from netra.agents import load_all

    try:
        names = list(load_all(settings.agents))
    except NetraError as error:
        return Finding("agents", "fail", error.message, error.hint)
    return Finding("agents", "ok", ", ".join(names))


def _alerts(settings: Settings) -> Finding:
    """Whether the alert channels can be read; what they hold is secret and not shown."""
    from netra.monitoring.channels import Channels

    try:
        names = Channels(settings.alert_urls).names
    except NetraError as error:
        return Finding("alerts", "fail", error.message, error.hint)
    if not names:
        return Finding("alerts", "ok", "no channels: alerts are logged, and shown to administrators")
    return Finding("alerts", "ok", f"channels: {', '.join(names)}; netra alerts test tries them")


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        return Finding("port", "ok", f"{settings.host}, any free port")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if _health(f"http://{_connectable(settings.host)}:{settings.port}") is not None:
                return Finding("port", "ok", f"{where}: a Netra server answers there")
            advice = "Stop the program that uses it, or choose another with --port."
            if isinstance(error, PermissionError):
                advice = "Ports below 1024 need rights: choose another with --port and put a proxy before it."
            return Finding("port", "fail", f"{where} cannot be listened on: {error.strerror}", advice)
    return Finding("port", "ok", f"{where} is free")


def _browser(settings: Settings) -> list[Finding]:
    """Whether browsers elsewhere get to the server, and get all of it."""
    subject, origin = "browser", settings.origin
    local = urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")
    findings = []
    if settings.public_url is None and settings.host in _ANY_HOST:
        advice = "Set public_url to the address people type; links and cookies are made for it."
        findings.append(Finding(subject, "note", f"people on other machines cannot use {origin}", advice))
    elif local and settings.public_url is None:
        advice = "For others: --host 0.0.0.0, or a proxy with TLS before it, and public_url."
        findings.append(Finding(subject, "ok", f"{origin}, for browsers on this machine only", advice))
    elif not settings.secure and not local:
        advice = "Put a proxy with TLS before it and set public_url to its https:// address."
        findings.append(Finding(subject, "note", f"{origin} sends passwords in the clear", advice))
    version = _health(origin)
    if version is None:
        if settings.public_url is not None:
            advice = "Start the server, then check DNS, the firewall and the proxy's target."
            findings.append(Finding(subject, "note", f"{origin} does not answer with Netra's /health", advice))
        else:
            findings.append(Finding(subject, "ok", f"{origin}: nothing runs there now, so nothing more was tried"))
    elif not _upgrades(origin):
        advice = "Let the proxy pass the Upgrade and Connection headers and keep long connections open."
        findings.append(Finding(subject, "fail", f"{origin} answers, but WebSockets do not get through", advice))
    else:
        findings.append(Finding(subject, "ok", f"{origin} answers (version {version}), WebSockets get through"))
    return findings


def _connectable(host: str) -> str:
    return "127.0.0.1" if host in _ANY_HOST else f"[{host}]" if ":" in host else host


def _health(origin: str) -> str | None:
    """The version of the Netra server at `origin`, or None when none answers."""

    def ask(connection: http.client.HTTPConnection) -> str | None:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = json.loads(answer.read(64 * 1024))
        return str(body["version"]) if isinstance(body, dict) and "version" in body else None

    return _connected(origin, ask)


def _upgrades(origin: str) -> bool:
    """Whether a WebSocket handshake reaches the server: without credentials it answers 401, never 404 or 5xx."""

    def ask(connection: http.client.HTTPConnection) -> bool:
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Origin": origin,
            "Sec-WebSocket-Key": "bmV0cmEtZG9jdG9yLi4uLg==",
            "Sec-WebSocket-Protocol": "netra.v1",
            "Sec-WebSocket-Version": "13",
        }
        connection.request("GET", "/ws", headers=headers)
        return connection.getresponse().status in (101, 401, 403, 429)

    return bool(_connected(origin, ask))


def _connected(origin: str, ask: Callable[[http.client.HTTPConnection], T]) -> T | None:
    parts = urlsplit(origin)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        return ask(connection)
    except (OSError, ssl.SSLError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
