"""Backup and restore: taken while people write and agents work, restored elsewhere, and refused when harmed."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from support.accounts import Account, register, sign_in
from support.history import Log, Sent, check
from support.postgres import PostgresServer
from support.server import ServerProcess
from support.waiting import until

Start = Callable[..., ServerProcess]
UPLOAD = b"time,model,input,output\n" + b"2026-01-01,gpt-4o,10,20\n" * 50_000


def netra(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line, as an operator does."""
    command = [sys.executable, "-m", "netra", *map(str, arguments)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NETRA_")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env={**clean, **(environment or {})}
    )


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, with its content."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class Load:
    """Somebody who writes and does not stop, while agents stream and do steps. `sent` is what is known of it."""

    def __init__(self, person: Account, threads: list[str]) -> None:
        self.person = person
        self.threads = threads
        self.sent: list[Sent] = []
        self.acknowledged = asyncio.Condition()

    async def run(self) -> None:
        async with self.person.async_client() as client:
            for number in range(10_000):
                key = secrets.token_hex(6)
                thread = self.threads[number % len(self.threads)]
                content = f"10 5 2 {key}"
                body = {"id": key, "content": content, "agent": "talk"}
                answer = await client.post(f"/api/threads/{thread}/messages", json=body)
                if answer.status_code == 429:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status_code == 202, answer.text
                place = answer.json()
                async with self.acknowledged:
                    self.sent.append(
                        Sent(self.person.id, key, content, place["thread_id"], place["seq"], place["run_id"])
                    )
                    self.acknowledged.notify_all()

    async def has_sent(self, count: int) -> None:
        async with asyncio.timeout(30), self.acknowledged:
            await self.acknowledged.wait_for(lambda: len(self.sent) >= count)


async def logs_at_rest(person: Account) -> list[Log]:
    """The log of every thread, once every run has ended."""
    async with person.async_client() as client:

        async def at_rest() -> list[dict[str, Any]] | None:
            threads: list[dict[str, Any]] = (await client.get("/api/threads")).json()["items"]
            return None if any(thread["running"] for thread in threads) else threads

        threads = await until(at_rest, "the end of every run", seconds=60)
        logs = []
        for thread in threads:
            events: list[dict[str, object]] = []
            while page := (
                await client.get(
                    f"/api/threads/{thread['id']}/events",
                    params={"limit": 1000, "after": events[-1]["seq"] if events else 0},
                )
            ).json()["events"]:
                events += page
            logs.append(Log(person.id, thread["id"], tuple(events)))
        return logs


def upload(person: Account) -> str:
    """A file with a message that takes it."""
    with person.client() as client:
        answer = client.post("/api/files", files={"file": ("usage.csv", UPLOAD, "text/csv")})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str) -> Iterator[str | None]:
    """Another database of the same kind; None for SQLite, which makes its own."""
    if database_url.startswith("sqlite"):
        yield None
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.create_database(empty=True)
    yield url
    postgres.drop_database(url)


async def test_a_backup_under_load_restored_elsewhere_has_what_was_acknowledged_and_no_gap(
    start_server: Start, database_url: str, other_url: str | None, tmp_path: Path
) -> None:
    here = None if database_url.startswith("sqlite") else database_url
    options = {
        "agents": ["support.chatty:talk"],
        "environment": {"NETRA_RUN_ATTEMPTS": "9", "NETRA_RUNS_RUNNING": "4", "NETRA_RUNS_QUEUED": "8"},
    }
    server = start_server(database_url=here, **options)
    person = await asyncio.to_thread(register, server.base_url)
    file_id = await asyncio.to_thread(upload, person)
    async with person.async_client() as client:
        threads = [(await client.post("/api/threads", json={})).json()["id"] for _ in range(4)]
    load = Load(person, threads)
    writing = asyncio.create_task(load.run())
    await load.has_sent(12)
    before = list(load.sent)
    archive = tmp_path / "copies" / "netra.tar.gz"
    archive.parent.mkdir()
    where = ["--data-dir", server.data_dir, *(["--database-url", here] if here else [])]
    done = await asyncio.to_thread(netra, "backup", archive, *where)
    assert done.returncode == 0, done.stderr
    await load.has_sent(len(load.sent) + 1)
    assert not writing.done(), "people went on writing all the time"
    writing.cancel()
    await asyncio.wait({writing})
    assert [path.name for path in archive.parent.iterdir()] == [archive.name], "nothing else is left"
    assert archive.stat().st_mode & 0o777 == 0o600
    await asyncio.to_thread(server.kill9)

    elsewhere = tmp_path / "elsewhere"
    where = ["--data-dir", elsewhere, *(["--database-url", other_url] if other_url else [])]
    done = await asyncio.to_thread(netra, "restore", archive, *where)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mode & 0o077 == 0 for path in [elsewhere, *elsewhere.rglob("*")]), "nobody else reads it"
    restored = start_server(data_dir=elsewhere, database_url=other_url, **options)
    again = await asyncio.to_thread(sign_in, restored.base_url, person.email)
    logs = await logs_at_rest(again)
    kept = {message.key for message in before}
    late = [Sent(m.user, m.key, m.content) for m in load.sent if m.key not in kept]
    unanswered = [Sent(person.id, "", e["content"]) for log in logs for e in log.events if e["type"] == "user_message"]
    assert check([*before, *late, *logs, *unanswered]) == []
    assert len(logs) == len(threads)
    ends = [event for log in logs for event in log.events if event["type"] == "agent_completed"]
    assert len(ends) >= len(before)
    assert {end["status"] for end in ends} == {"succeeded"}
    async with again.async_client() as client:
        assert (await client.get(f"/api/files/{file_id}")).content == UPLOAD
        sent = await client.post(
            f"/api/threads/{threads[0]}/messages", json={"id": "on", "content": "1 1 1 on", "agent": "talk"}
        )
        assert sent.status_code == 202, "and it goes on"
    assert restored.stop() in (0, -signal.SIGTERM)
    assert restored.tracebacks == []


# What follows needs no running server: one data directory, and one archive of it.


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a server that was stopped, with a user and a file."""
    directory = tmp_path_factory.mktemp("original") / "data"
    with ServerProcess(directory, environment={"NETRA_ALLOW_REGISTRATION": "true"}) as server:
        upload(register(server.base_url, "ada@example.com"))
        server.stop()
    return directory


@pytest.fixture(scope="module")
def archive(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain archive of `original`."""
    path = tmp_path_factory.mktemp("archive") / "netra.tar"
    assert netra("backup", path, "--data-dir", original).returncode == 0
    return path


def rewritten(
    archive: Path, target: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]
) -> Path:
    """The archive with its members changed."""
    with tarfile.open(archive) as source, tarfile.open(target, "w") as tar:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            member, data = change(member, content.read())
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return target


def flipped(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name.startswith("files/"):
        data = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    return member, data


def newer(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "manifest.json":
        data = json.dumps({**json.loads(data), "revision": "9999"}).encode()
    return member, data


def other_format(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "manifest.json":
        data = json.dumps({**json.loads(data), "format": 2}).encode()
    return member, data


def outside(name: str) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    """The uploaded file under another name, in the manifest too."""

    def change(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.startswith("files/"):
            member.name = name
        if member.name == "manifest.json":
            manifest = json.loads(data)
            old = next(key for key in manifest["members"] if key.startswith("files/"))
            manifest["members"][name] = manifest["members"].pop(old)
            data = json.dumps(manifest).encode()
        return member, data

    return change


def a_link(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name.startswith("files/"):
        member.type, member.linkname, data = tarfile.SYMTYPE, "/etc/passwd", b""
    return member, data


Harm = Callable[[Path, Path], Path]
HARMED: dict[str, tuple[Harm, str]] = {
    "cut in the middle": (lambda a, t: _bytes(t, a.read_bytes()[: a.stat().st_size // 2]), "damaged"),
    "without its end": (
        lambda a, t: _bytes(t, a.read_bytes()[: a.read_bytes().rindex(b"manifest.json")]),
        "not complete",
    ),
    "compressed and cut": (lambda a, t: _bytes(t, gzip.compress(a.read_bytes(), 1)[:-9]), "damaged"),
    "empty": (lambda a, t: _bytes(t, b""), "damaged"),
    "no archive": (lambda a, t: _bytes(t, b"SQLite format 3\0" * 1000), "damaged"),
    "one bit wrong": (lambda a, t: rewritten(a, t, flipped), "not what was backed up"),
    "newer than this version": (lambda a, t: rewritten(a, t, newer), "revision 9999"),
    "of another format": (lambda a, t: rewritten(a, t, other_format), "format 2"),
    "out of the directory": (lambda a, t: rewritten(a, t, outside("files/../../escaped")), "does not belong"),
    "to an absolute path": (lambda a, t: rewritten(a, t, outside("/tmp/netra-escaped")), "does not belong"),
    "over the lock": (lambda a, t: rewritten(a, t, outside("engine.lock")), "does not belong"),
    "with a link": (lambda a, t: rewritten(a, t, a_link), "no plain file"),
}


def _bytes(target: Path, content: bytes) -> Path:
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("harm", HARMED)
def test_a_harmed_archive_is_refused_and_nothing_is_changed(
    harm: str, archive: Path, original: Path, tmp_path: Path
) -> None:
    from netra.errors import NetraError
    from netra.storage.backup import staged

    make, complaint = HARMED[harm]
    harmed = make(archive, tmp_path / "harmed.tar")
    there, empty = tmp_path / "there", tmp_path / "empty"
    shutil.copytree(original, there)
    before = tree(there)
    for directory in (there, empty):
        with (
            pytest.raises(NetraError, match=complaint),
            staged(harmed, database_url=f"sqlite:///{directory / 'netra.db'}", data_dir=directory, force=True),
        ):
            pytest.fail("it was taken")
    assert tree(there) == before
    assert not empty.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["harmed.tar", "there"]


def test_the_command_says_what_is_wrong_with_an_archive(archive: Path, tmp_path: Path) -> None:
    harmed = rewritten(archive, tmp_path / "harmed.tar", flipped)
    refused = netra("restore", harmed, "--data-dir", tmp_path / "data")
    assert refused.returncode == 1
    assert "not what was backed up" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data").exists()
    assert "is complete: sqlite" in netra("restore", archive, "--check").stdout


def test_data_is_replaced_only_with_force_and_never_under_a_server(
    archive: Path, original: Path, start_server: Start, tmp_path: Path
) -> None:
    server = start_server()
    register(server.base_url, "bob@example.com")
    where = ["--data-dir", server.data_dir]
    refused = netra("restore", archive, *where)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    refused = netra("restore", archive, *where, "--force")
    assert refused.returncode == 1
    assert "Another Netra server" in refused.stderr
    assert sign_in(server.base_url, "bob@example.com")
    server.kill9()
    (server.data_dir / "files" / "fil_old").write_bytes(b"old")
    done = netra("restore", archive, *where, "--force")
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in (server.data_dir / "files").iterdir()] == [UPLOAD]
    assert not [path for path in server.data_dir.iterdir() if path.name.startswith(".")], "nothing is left behind"
    server.start()
    assert sign_in(server.base_url, "ada@example.com")
    gone = {"email": "bob@example.com", "password": "correct horse battery staple"}
    assert httpx.post(f"{server.base_url}/api/auth/login", json=gone, trust_env=False, verify=False).status_code == 401


@pytest.mark.parametrize("name", ["netra.tar", "netra.tgz", "netra.tar.zst"])
def test_an_archive_is_compressed_as_its_name_says(name: str, original: Path, tmp_path: Path) -> None:
    from netra.errors import ConfigurationError, InvalidInput
    from netra.storage.backup import backup, verify

    if name.endswith("zst") and shutil.which("zstd") is None:
        with pytest.raises(ConfigurationError, match="zstd"):
            backup(tmp_path / name, database_url=f"sqlite:///{original / 'netra.db'}", data_dir=original)
        return
    made = backup(tmp_path / name, database_url=f"sqlite:///{original / 'netra.db'}", data_dir=original)
    assert verify(made.path) == made.manifest
    magic = {"netra.tar": b"engine.db", "netra.tgz": b"\x1f\x8b", "netra.tar.zst": b"\x28\xb5\x2f\xfd"}[name]
    assert made.path.read_bytes().startswith(magic)
    if name.endswith("zst"):
        cut = _bytes(tmp_path / "cut.tar.zst", made.path.read_bytes()[:-9])
        with pytest.raises(InvalidInput, match="damaged"):
            verify(cut)


def test_a_directory_gets_an_archive_named_after_the_time_and_no_archive_is_replaced(
    original: Path, tmp_path: Path
) -> None:
    from netra.errors import ConfigurationError
    from netra.storage.backup import backup

    where = {"database_url": f"sqlite:///{original / 'netra.db'}", "data_dir": original}
    made = backup(tmp_path, **where).path
    assert made.name.startswith("netra-2")
    assert made.name.endswith("Z.tar.gz")
    nothing = {"database_url": f"sqlite:///{tmp_path / 'nothing' / 'netra.db'}", "data_dir": tmp_path / "nothing"}
    for target, source, complaint in (
        (made, where, "there already"),
        (tmp_path / "no.zip", where, "no name of a backup"),
        (tmp_path / "none" / "b.tar", where, "no directory"),
        (tmp_path / "b.tar", nothing, "no database"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            backup(target, **source)
    assert list(tmp_path.iterdir()) == [made]


def test_a_restore_that_fails_half_way_puts_back_what_was_there(
    archive: Path, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses the move of the files, after the databases were replaced."""
    from netra.errors import Unavailable
    from netra.storage.backup import put_back, staged

    there = tmp_path / "there"
    shutil.copytree(original, there)
    (there / "netra.db-wal").unlink(missing_ok=True)
    with sqlite3.connect(there / "netra.db") as connection:
        connection.execute("UPDATE users SET name = 'Somebody else'")
    connection.close()
    before = tree(there)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "files" and "before" not in str(target) and not str(self).endswith("before/files"):
            raise PermissionError("not this one")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(shutil, "copytree", refuse)
    url = f"sqlite:///{there / 'netra.db'}"
    with (
        pytest.raises(Unavailable, match="not this one"),
        staged(archive, database_url=url, data_dir=there, force=True) as ready,
    ):
        put_back(ready, database_url=url, data_dir=there)
    monkeypatch.undo()
    assert tree(there) == before


@pytest.mark.postgres
def test_on_postgresql_a_failed_restore_leaves_the_old_data_and_force_replaces_only_ours(
    postgres_url: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    from netra.errors import NetraError
    from netra.storage.backup import backup, put_back, staged

    made = backup(tmp_path / "pg.tar", database_url=postgres_url, data_dir=tmp_path / "data")
    assert made.manifest.database == "postgresql"
    other = postgres.create_database(empty=True)
    try:
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA theirs CREATE TABLE kept (id int)")
            connection.execute("CREATE TABLE public.old (id int)")
            with (
                pytest.raises(NetraError, match="There is data already"),
                staged(made.path, database_url=other, data_dir=tmp_path / "new"),
            ):
                pytest.fail("it was taken")
            with staged(made.path, database_url=other, data_dir=tmp_path / "new", force=True) as ready:
                dump = ready.directory / "netra.dump"
                dump.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
                with pytest.raises(NetraError, match="pg_restore"):
                    put_back(ready, database_url=other, data_dir=tmp_path / "new")
            assert connection.execute("SELECT count(*) FROM public.old").fetchone() == (0,)
            with staged(made.path, database_url=other, data_dir=tmp_path / "new", force=True) as ready:
                put_back(ready, database_url=other, data_dir=tmp_path / "new")
            assert connection.execute("SELECT to_regclass('public.old')").fetchone() == (None,)
            assert connection.execute("SELECT count(*) FROM theirs.kept").fetchone() == (0,)
            assert connection.execute("SELECT version_num FROM public.alembic_version").fetchone() is not None
    finally:
        postgres.drop_database(other)


def test_without_a_fitting_pg_dump_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from netra.errors import ConfigurationError
    from netra.storage import dump

    with pytest.raises(ConfigurationError) as refused:
        dump.find("pg_dump", 99)
    assert refused.value.hint is not None
    assert "postgresql-client-99" in refused.value.hint
