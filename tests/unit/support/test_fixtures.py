"""The fixtures give what their names promise."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import Console
    from support.postgres import PostgresServer


def test_a_free_port_can_be_listened_on(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert listener.getsockname()[1] == port


def test_each_postgres_database_is_new_and_its_server_is_version_18(postgres: PostgresServer) -> None:
    urls = [postgres.create_database() for _ in range(2)]
    try:
        assert urls[0] != urls[1]
        with psycopg.connect(urls[0]) as connection:
            connection.execute("CREATE TABLE here (id int)")
            assert connection.info.server_version // 10_000 == 18
        with psycopg.connect(urls[1]) as connection:
            (found,) = connection.execute("SELECT to_regclass('here')").fetchone() or ()
            assert found is None
    finally:
        for url in urls:
            postgres.drop_database(url)


def test_data_survives_a_crash_of_postgres(postgres: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        connection.execute("CHECKPOINT")
        postgres.crash()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres.resume()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_database_test_runs_on_both(database_url: str) -> None:
    assert database_url.startswith(("sqlite:///", "postgresql://"))


def test_the_console_of_a_page_is_watched(page: Page, console: Console) -> None:
    page.goto("about:blank")
    page.evaluate("console.error('on purpose')")
    page.evaluate("console.info('of no interest')")
    assert [text for text in console.unexpected if "on purpose" in text]
    console.allow("on purpose")
    assert console.unexpected == []
