"""Free SQL over the loaded usage rows, for a language model or a curious person. Called by `workspace`.

Nothing can be changed or read beyond the tables: the database is locked down (see `database`), and only one statement
that DuckDB itself classes as a SELECT is run, with bounds on time and rows.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from netra.agents.optimizer.database import guarded
from netra.agents.optimizer.records import JSON, CancelFlag, Limits

if TYPE_CHECKING:
    import duckdb

__all__ = ["run"]

_LONGEST_CELL = 2_000


def _json(value: object) -> JSON:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (datetime, date, timedelta)):
        return value.isoformat() if not isinstance(value, timedelta) else str(value)
    return str(value)[:_LONGEST_CELL]


def _problem(message: str) -> dict[str, JSON]:
    return {"problem": {"message": message, "hint": "Tables: `usage`, `priced`.", "skippable": False}}


def run(connection: duckdb.DuckDBPyConnection, sql: str, cancelled: CancelFlag, limits: Limits) -> dict[str, JSON]:
    """The result of one SELECT, at most `limits.query_rows` rows.

    Returns:
        `{"columns", "rows", "truncated"}`, or `{"problem"}` when the statement is not allowed, wrong or too slow.
    """
    import duckdb

    from netra.agents.optimizer.database import QueryTimeout

    if len(sql) > 20_000:
        return _problem("The statement is longer than 20,000 characters.")
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        return _problem(str(error).splitlines()[0][:500])
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return _problem("Only one SELECT statement is allowed.")
    try:
        with guarded(connection, cancelled, limits.query_seconds, "The query"):
            cursor = connection.execute(statements[0])
            columns = [str(column[0]) for column in cursor.description or ()]
            rows = cursor.fetchmany(limits.query_rows + 1)
    except QueryTimeout as error:
        return _problem(error.message)
    except duckdb.Error as error:
        return _problem(str(error).splitlines()[0][:500])
    return {
        "columns": list(columns),
        "rows": [[_json(value) for value in row] for row in rows[: limits.query_rows]],
        "truncated": len(rows) > limits.query_rows,
    }
