"""Access to users and tokens for commands: opens the database the settings name, migrated, for one piece of work.

A server may run at the same time: it notices within a second what is changed here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from netra.clock import SystemClock
from netra.config import Settings
from netra.errors import InvalidInput

if TYPE_CHECKING:
    from netra.identity.personal import PersonalTokens
    from netra.identity.users import Users

T = TypeVar("T")


def with_users(
    settings: Settings, work: Callable[[Users, PersonalTokens], Awaitable[T]], *, action: str = "", target: str = ""
) -> T:
    """Run `work` on the users and tokens of an installation and return its result.

    Args:
        action: what it changes, for the audit log; empty when it changes nothing.
        target: on whom.
    """
    from netra.identity.passwords import Passwords
    from netra.identity.personal import PersonalTokens
    from netra.identity.users import Users
    from netra.sessions import RequestScopedSessionFactory
    from netra.storage import Database
    from netra.storage.audit import OPERATOR, AuditLog
    from netra.storage.migrate import migrate

    async def run() -> T:
        clock = SystemClock()
        database = RequestScopedSessionFactory(Database(settings.database, read_connections=1), clock)
        await database.start()
        try:
            if action:
                await AuditLog(database, clock).note(OPERATOR, action, target)
            async with Passwords(workers=1) as passwords:
                return await work(Users(database, clock, passwords), PersonalTokens(database, clock))
        finally:
            await database.stop()

    migrate(settings.database)
    return asyncio.run(run())


def ask_password() -> str:
    """A password typed twice at the terminal, or the first line of standard input when that is no terminal.

    Raises:
        InvalidInput: the two differ, or there is no line.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise InvalidInput("No password on standard input.", hint="Run it in a terminal, or pipe one line into it.")
        return line
    from getpass import getpass

    password = getpass("Password (12 characters or more): ")
    if getpass("The same again: ") != password:
        raise InvalidInput("The two passwords differ.", hint="Try again.")
    return password
