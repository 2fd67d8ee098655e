"""Text cells into typed usage rows: the table `usage`, one row for each record, with file and record number so that any
figure can be traced back. Called by `workspace` after `mapping`.

A cell that cannot be read stops the work with its line and column, unless the person chose to leave such lines out;
then their number is reported and they are in no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netra.agents.optimizer.database import literal
from netra.agents.optimizer.ingest import Loaded
from netra.agents.optimizer.records import INTEGER_ROLES, ROLES, Mapping, Role, UsageFileError

if TYPE_CHECKING:
    import duckdb

__all__ = ["Normalised", "create_usage_table", "normalise"]

_BLANKS = "('', 'null', 'none', 'nan', 'nil', 'n/a', '\\n')"
_MOST_TOKENS = 1_000_000_000_000

_USAGE = """
CREATE TABLE usage (
    file SMALLINT, record BIGINT, time TIMESTAMP, model VARCHAR, provider VARCHAR, mode VARCHAR,
    input BIGINT, cached BIGINT, cache_write BIGINT, cache_write_1h BIGINT, output BIGINT, requests BIGINT,
    user_id VARCHAR, key_id VARCHAR, session_id VARCHAR, failed BOOLEAN, stated_cost DECIMAL(38, 15),
    request_id VARCHAR, long_context BOOLEAN, aggregated BOOLEAN)
"""


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of one file: rows taken, rows left out, rows with a blank count that was read as 0."""

    rows: int
    left_out: int
    blank: int


def create_usage_table(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the empty table `usage`. Token counts: `input` includes cached and written tokens."""
    connection.execute(_USAGE)


def _integer(cell: str) -> str:
    """SQL for a whole number as people and programs write it, NULL when it is none."""
    plain = (
        f"TRY_CAST({cell} AS BIGINT)"  # comparing it with its text is quicker than a pattern, and almost always true
    )
    return (
        f"CASE WHEN {cell} IS NULL THEN NULL WHEN CAST({plain} AS VARCHAR) = {cell} AND {plain} >= 0 THEN {plain} "
        f"WHEN regexp_full_match({cell}, '\\d{{1,18}}') THEN {plain} "
        f"WHEN regexp_full_match({cell}, '\\d{{1,18}}\\.0*') THEN TRY_CAST(split_part({cell}, '.', 1) AS BIGINT) "
        f"WHEN regexp_full_match({cell}, '\\d{{1,3}}(,\\d{{3}})+') THEN TRY_CAST(replace({cell}, ',', '') AS BIGINT) "
        f"WHEN regexp_full_match({cell}, '\\d(\\.\\d+)?[eE]\\+?\\d{{1,2}}') AND TRY_CAST({cell} AS "
        "DECIMAL(38,6)) % 1 = 0 "
        f"THEN CAST(TRY_CAST({cell} AS DECIMAL(38,6)) AS BIGINT) END"
    )


def _time(cell: str, form: str) -> str:
    """SQL for a point in time in UTC, NULL when it is none or outside the years 2000 to 2099."""
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}
    if form == "iso":
        value = f"(TRY_CAST({cell} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
    elif form == "ns":
        value = f"make_timestamp(TRY_CAST(split_part({cell}, '.', 1) AS BIGINT) // 1000)"
    elif form in scale:
        value = f"make_timestamp(CAST(TRY_CAST({cell} AS DECIMAL(38,6)) * {scale[form]} AS BIGINT))"
    else:
        formats = ", ".join(literal(part) for part in form.split("|"))
        value = f"try_strptime({cell}, [{formats}])"
    in_range = "BETWEEN TIMESTAMP '2000-01-01' AND TIMESTAMP '2099-12-31 23:59:59'"
    if form in scale or form == "ns":
        value = f"CASE WHEN regexp_full_match({cell}, '\\d{{1,19}}(\\.\\d+)?') THEN {value} END"
    return f"CASE WHEN {value} {in_range} THEN {value} END"


def _mode(cell: str) -> str:
    """Service tier names of OpenAI and Anthropic; `true` is how OpenAI's column `batch` says yes."""
    return (
        f"CASE WHEN lower({cell}) IN ('true', 'batch', 'yes', '1') THEN 'batch' "
        f"WHEN lower({cell}) IN ('flex', 'priority', 'fast') THEN lower({cell}) ELSE 'standard' END"
    )


def _failed(cell: str) -> str:
    """Status texts, HTTP codes, booleans and error types, as far as they say that a request failed."""
    return (
        f"({cell} IS NOT NULL AND lower({cell}) NOT IN ('', 'ok', 'success', 'succeeded', 'completed', "
        "'stop', 'length', "
        "'true', 'unset', 'status_code_unset', 'status_code_ok', 'tool_calls', 'end_turn', 'max_tokens', "
        "'none', 'null', "
        f"'false', '0', '1', 'done', 'complete', 'finished', 'tool_use', 'content_filter') "
        f"AND NOT regexp_full_match({cell}, '[123]\\d\\d(\\.0)?'))"
    )


def normalise(
    connection: duckdb.DuckDBPyConnection, loaded: Loaded, index: int, mapping: Mapping, *, skip_bad: bool = False
) -> Normalised:
    """Appends the records of one file to `usage`.

    Raises:
        UsageFileError: a time, a count or a cost cannot be read; names the first line and its column.
    """
    position = {column: number for number, column in enumerate(loaded.table.columns)}

    def filled(column: str) -> str:
        text = f"trim(c{position[column]})"
        return f"CASE WHEN length({text}) > 4 OR lower({text}) NOT IN {_BLANKS} THEN {text} END"

    def cell(role: Role) -> str | None:
        if role not in mapping.columns:
            return None
        columns = (mapping.columns[role], *mapping.otherwise.get(role, ()))
        return filled(columns[0]) if len(columns) == 1 else f"coalesce({', '.join(map(filled, columns))})"

    # Every checked role becomes t_<role> (its text or NULL) and v_<role> (its value or NULL).
    checked: dict[Role, str] = {}
    if time_cell := cell("time"):
        checked["time"] = time_cell
    for role in sorted(INTEGER_ROLES & mapping.columns.keys()):
        checked[role] = cell(role) or "NULL"
    if cost_cell := cell("cost"):
        checked["cost"] = f"replace(ltrim({cost_cell}, '$'), ',', '')"
    checked_cells = [f"{expression} AS t_{role}" for role, expression in checked.items()]
    checked_cells += [f"{cell(role)} AS t_{role}" for role in ROLES if role in mapping.columns and role not in checked]
    values = []
    for role in checked:
        if role == "time":
            values.append(f"{_time('t_time', mapping.time_format)} AS v_time")
        elif role == "cost":
            values.append("TRY_CAST(t_cost AS DECIMAL(38, 15)) AS v_cost")
        else:
            values.append(f"{_integer(f't_{role}')} AS v_{role}")
    cells = ", ".join(checked_cells)
    connection.execute(
        f"CREATE OR REPLACE TABLE typed AS SELECT *, {', '.join(values)} "
        f"FROM (SELECT rowid AS record, {cells} FROM {loaded.table.name}) AS cells"
    )
    problems = {role: _problem(role) for role in checked}
    bad = " OR ".join(f"({condition})" for condition in problems.values())
    left_out = _count(connection, f"SELECT count(*) FROM typed WHERE {bad}")
    if left_out and not skip_bad:
        raise _first_problem(connection, loaded, mapping, problems, left_out)
    blank = _count(connection, "SELECT count(*) FROM typed WHERE t_input IS NULL OR t_output IS NULL")
    whole = "v_input"
    if not mapping.input_includes_cached:
        extra = [f"coalesce(v_{role}, 0)" for role in ("cached", "cache_write", "cache_write_1h") if role in checked]
        whole = " + ".join(["coalesce(v_input, 0)", *extra])

    def number(role: Role, default: int = 0) -> str:
        return f"coalesce(v_{role}, {default})" if role in checked else str(default)

    def text(role: Role) -> str:
        return f"t_{role}" if role in mapping.columns else "NULL"

    status, mode, context = (
        f"t_{role}" if role in mapping.columns else None for role in ("status", "mode", "context_window")
    )
    connection.execute(
        f"INSERT INTO usage SELECT {index}, record, {'v_time' if 'time' in checked else 'NULL'}, "
        f"{text('model')}, {text('provider')}, {_mode(mode) if mode else literal('standard')}, "
        f"coalesce({whole}, 0), {number('cached')}, {number('cache_write')}, {number('cache_write_1h')}, "
        f"{number('output')}, "
        f"{number('requests', 1)}, {text('user')}, {text('key')}, {text('session')}, "
        f"{_failed(status) if status else 'false'}, {'v_cost' if 'cost' in checked else 'NULL'}, {text('request_id')}, "
        f"{_long(context) if context else 'NULL'}, {'true' if mapping.aggregated else 'false'} "
        f"FROM typed WHERE NOT coalesce({bad}, false) ORDER BY record"
    )
    connection.execute("DROP TABLE typed")
    return Normalised(loaded.table.rows - left_out, left_out, blank)


def _long(cell: str) -> str:
    """Anthropic's `context_window`: `≤ 200k` or `0-200k` is short, `> 200k` or `200k-1M` is long."""
    return f"({cell} LIKE '%>%' OR lower({cell}) LIKE '%1m%')"


def _problem(role: Role) -> str:
    """SQL that is true for a bad cell. Parts of a prompt may be blank; a time may not."""
    if role == "time":
        return "v_time IS NULL"
    if role == "cost":
        return "t_cost IS NOT NULL AND v_cost IS NULL"
    return f"t_{role} IS NOT NULL AND (v_{role} IS NULL OR v_{role} > {_MOST_TOKENS})"


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    found = connection.execute(statement).fetchone()
    return int(found[0]) if found else 0


def _first_problem(
    connection: duckdb.DuckDBPyConnection,
    loaded: Loaded,
    mapping: Mapping,
    problems: dict[Role, str],
    count: int,
) -> UsageFileError:
    first: tuple[int, Role, str | None] | None = None
    for role, condition in problems.items():
        found = connection.execute(
            f"SELECT record, t_{role} FROM typed WHERE {condition} ORDER BY record LIMIT 1"
        ).fetchone()
        if found and (first is None or found[0] < first[0]):
            first = (int(found[0]), role, found[1])
    if first is None:  # the count above says there is one
        return UsageFileError("some values cannot be read.", file=loaded.file.name, bad_lines=count, skippable=True)
    record, role, text = first
    shown = f"`{text[:60]}`" if text is not None else "an empty value"
    wanted = {"time": "a time I can read (ISO 8601, or seconds since 1970)", "cost": "an amount of money"}.get(
        role, "a whole number of tokens" if role != "requests" else "a whole number"
    )
    if role in INTEGER_ROLES and text is not None and text.isdigit():
        wanted = f"a plausible number (it is more than {_MOST_TOKENS:,})"
    others = f" {count - 1:,} more line(s) have such a value." if count > 1 else ""
    return UsageFileError(
        f"{shown} is not {wanted}.{others}",
        file=loaded.file.name,
        line=loaded.line(connection, record),
        column=mapping.columns[role],
        hint="Correct the file and attach it again, name another column, or reply `skip bad lines`.",
        bad_lines=count,
        skippable=True,
    )
