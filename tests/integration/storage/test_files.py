"""Uploads: what they leave on the disk when they are given up, how much one user may keep, and what is swept."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from netra.chat import Files, files
from netra.clock import SystemClock
from netra.errors import PayloadTooLarge
from netra.identity import Scope
from netra.storage import Database
from netra.storage.tables import users
from support.waiting import until

SCOPE = Scope("usr_tester", frozenset({"user"}))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()

    def user(connection: Connection) -> None:
        values = {"id": SCOPE.user_id, "email": "t@example.com", "name": "", "password_hash": "", "roles": "user"}
        connection.execute(insert(users).values(**values, created_at=0))

    await database.write(user)
    yield database
    await database.stop()


@pytest.fixture
async def stored(database: Database, tmp_path: Path) -> AsyncIterator[Files]:
    stored = Files(database, tmp_path / "files", SystemClock(), max_bytes=1000, max_bytes_of_user=2500)
    await stored.start()
    yield stored
    await stored.stop()


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        await asyncio.sleep(0)
        yield b"x" * size


async def test_a_user_keeps_a_limited_number_of_bytes_and_gets_room_by_deleting(stored: Files, tmp_path: Path) -> None:
    kept = [await stored.store(SCOPE, "a.csv", pieces(500, 500)) for _ in range(2)]
    with pytest.raises(PayloadTooLarge) as refused:
        await stored.store(SCOPE, "a.csv", pieces(501))
    assert "Delete" in str(refused.value.hint)
    assert {path.name for path in (tmp_path / "files").iterdir()} == {file.id for file in kept}
    await stored.store(SCOPE, "a.csv", pieces(500))
    await stored.delete(SCOPE, kept[0].id)
    await stored.store(SCOPE, "a.csv", pieces(1000))


async def test_uploads_at_the_same_time_share_the_users_room(stored: Files, tmp_path: Path) -> None:
    uploads = [stored.store(SCOPE, "a.csv", pieces(500, 500)) for _ in range(5)]
    results = await asyncio.gather(*uploads, return_exceptions=True)
    assert {type(result) for result in results if isinstance(result, BaseException)} == {PayloadTooLarge}
    sizes = [path.stat().st_size for path in (tmp_path / "files").iterdir()]
    assert sum(sizes) <= 2500


async def test_an_upload_given_up_during_a_write_keeps_its_descriptor_until_the_write_ends(
    stored: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    written: list[int | OSError] = []
    write = os.write

    def slow(descriptor: int, data: bytes) -> int:
        begun.set()
        go_on.wait(30)
        try:
            written.append(write(descriptor, data))
        except OSError as error:
            written.append(error)
        return len(data)

    monkeypatch.setattr(files.os, "write", slow)
    upload = asyncio.create_task(stored.store(SCOPE, "a.csv", pieces(100, 100)))
    await asyncio.to_thread(begun.wait, 30)
    upload.cancel()
    await asyncio.sleep(0.05)  # it is cancelled, and waits for the thread that writes
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert written == [100]
    assert list((tmp_path / "files").iterdir()) == []


async def test_files_no_message_took_are_swept_while_the_server_runs(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(files, "UNCLAIMED", timedelta(0))
    stored = Files(database, tmp_path / "files", SystemClock(), max_bytes=1000, max_bytes_of_user=2500)
    await stored.start()
    try:
        await stored.store(SCOPE, "a.csv", pieces(10))

        async def nothing_is_left() -> bool:
            return not (await stored.list(SCOPE))[0] and not list((tmp_path / "files").iterdir())

        await until(nothing_is_left, "the sweep")
    finally:
        await stored.stop()
