"""What a part needs of the database: `Database` itself has it, and so has the factory of `netra.sessions` around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Access(Protocol):
    """Short reads and writes; see `netra.storage.database.Database` for what each promises and raises."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    async def query(self, work: Callable[[Connection], T]) -> T:
        """Run short reads in one transaction."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on the writer's connection and commit."""
        ...
