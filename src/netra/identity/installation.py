"""Small facts of this installation, in one table: the signing key, the setup token's hash, the mark of revocations.

The mark is replaced in every transaction that ends credentials early. A server that asks every second whether its
sockets may stay open reads this one row, and looks closer only when some process, perhaps the command line, changed it.
"""

from __future__ import annotations

from sqlalchemy import Connection, Insert, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from netra.storage.tables import installation

SIGNING_KEY = "signing_key"
SETUP_TOKEN = "setup_token"
REVOCATIONS = "revocations"


def get(connection: Connection, key: str) -> bytes | None:
    """A fact, or None."""
    value = connection.execute(select(installation.c.value).where(installation.c.key == key)).scalar()
    return None if value is None else bytes(value)


def put(connection: Connection, key: str, value: bytes) -> None:
    """Store a fact, in place of the one there was."""
    statement: Insert
    if connection.dialect.name == "postgresql":
        upsert = postgresql.insert(installation).values(key=key, value=value)
        statement = upsert.on_conflict_do_update(index_elements=["key"], set_={"value": upsert.excluded.value})
    else:
        replace = sqlite.insert(installation).values(key=key, value=value)
        statement = replace.on_conflict_do_update(index_elements=["key"], set_={"value": replace.excluded.value})
    connection.execute(statement)


def put_once(connection: Connection, key: str, value: bytes) -> bytes:
    """Store a fact unless there is one; returns the one there is."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(make(installation).values(key=key, value=value).on_conflict_do_nothing(index_elements=["key"]))
    stored = get(connection, key)
    assert stored is not None
    return stored


def take(connection: Connection, key: str, value: bytes) -> bool:
    """Delete a fact if it has this value; of several who try, one succeeds."""
    gone = connection.execute(delete(installation).where(installation.c.key == key, installation.c.value == value))
    return gone.rowcount == 1
