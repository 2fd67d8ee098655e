"""Statements of the hot paths, handed straight to the driver.

SQLAlchemy writes the SQL, once for each dialect; what it does around every execution (caches, events, result
processing) costs ten to twenty times the driver's own work, which a log that appends thousands of events a second would
feel. Columns must be of types that need no conversion, as all in `netra.storage.tables` are. Errors are SQLAlchemy's
own, so that callers see no difference, and so is the event `after_cursor_execute`, which whoever counts listens to.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.exc import DBAPIError


@dataclass(slots=True)
class _Form:
    """A statement as one dialect's driver takes it."""

    sql: str
    names: tuple[str, ...] | None  # in the order of the placeholders; None when they are named
    constants: dict[str, Any]
    row: Callable[[Sequence[Any]], Any] | None = None

    def values(self, given: Mapping[str, Any]) -> Any:
        everything = {**self.constants, **given} if self.constants else given
        return everything if self.names is None else tuple([everything[name] for name in self.names])


class Prepared:
    """One statement.

    Args:
        statement: a Core statement; no expanding parameters.
        columns: of an INSERT, the columns given when it is executed.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._forms: dict[str, _Form] = {}

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Execute and return the rows, as named tuples."""
        form, cursor = self._execute(connection, values)
        make = form.row or self._row_of(form, cursor)
        try:
            found = cursor.fetchall()
        finally:
            cursor.close()
        return [make(row) for row in found]

    def one(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Execute and return the only row, as a named tuple, or None."""
        found = self.all(connection, values)
        return found[0] if found else None

    def scalar(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Execute and return the first column of the only row, or None when there is none."""
        found = self.all(connection, values)
        return found[0][0] if found else None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute and return the number of rows it changed."""
        _, cursor = self._execute(connection, values)
        changed = int(cursor.rowcount)
        cursor.close()
        return changed

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute once for each row."""
        if len(rows) == 1:
            self.run(connection, rows[0])
            return
        form = self._form(connection)
        values = [form.values(row) for row in rows]
        cursor = self._guarded(connection, lambda cursor: cursor.executemany(form.sql, values))
        _executed(connection, cursor, form.sql, values, many=True)
        cursor.close()

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> tuple[_Form, Any]:
        form = self._form(connection)
        given = form.values(values)
        cursor = self._guarded(connection, lambda cursor: cursor.execute(form.sql, given))
        _executed(connection, cursor, form.sql, given)
        return form, cursor

    def _guarded(self, connection: Connection, work: Callable[[Any], object]) -> Any:
        dialect = connection.dialect
        cursor = connection.connection.cursor()
        try:
            work(cursor)
        except dialect.loaded_dbapi.Error as error:
            lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
            if lost:
                connection.invalidate(error)
            raise DBAPIError.instance(
                str(self._statement),
                None,
                error,
                dialect.loaded_dbapi.Error,
                hide_parameters=True,
                connection_invalidated=lost,
                dialect=dialect,
            ) from error
        return cursor

    def _form(self, connection: Connection) -> _Form:
        dialect = connection.dialect
        form = self._forms.get(dialect.name)
        if form is None:
            compiled: Any = self._statement.compile(
                dialect=dialect, column_keys=list(self._columns) if self._columns is not None else None
            )
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            names = tuple(compiled.positiontup) if compiled.positional else None
            form = self._forms[dialect.name] = _Form(str(compiled), names, constants)
        return form

    @staticmethod
    def _row_of(form: _Form, cursor: Any) -> Callable[[Sequence[Any]], Any]:
        row: Any = namedtuple("Row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
        form.row = row._make
        return row._make


def _executed(connection: Connection, cursor: Any, sql: str, values: Any, *, many: bool = False) -> None:
    for listener in connection.dispatch.after_cursor_execute:
        listener(connection, cursor, sql, values, None, many)
