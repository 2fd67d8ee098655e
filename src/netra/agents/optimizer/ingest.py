"""Files into tables: CSV, JSON, JSONL and Parquet to a table of text as it stands, then to typed usage rows.

`load` reads a file, `sample_values` lets `mapping` look at it, `normalise` makes rows of the table `usage`. Called by
`workspace` in a worker thread. Whatever a file holds, what leaves this module is a `UsageFileError` that names line and
column where there are such, never an exception of DuckDB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from collections.abc import Mapping as MappingType
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from netra.agents.optimizer.database import guarded, literal
from netra.agents.optimizer.formats import FORMATS, recognise
from netra.agents.optimizer.jsonfile import flatten_json
from netra.agents.optimizer.records import CancelFlag, Limits, RawTable, SourceFile, UsageFileError
from netra.agents.optimizer.textfile import (
    CsvShape,
    check_text,
    csv_shape,
    first_bad_record,
    lines_of_records,
    to_utf8,
    unique_names,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["Loaded", "load", "quoted", "sample_values", "scratch_path"]

_NESTED_NAMES = frozenset(
    name.lower() for known in FORMATS for names in known.roles.values() for name in names if "." in name
)


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def scratch_path(scratch: Path, index: int) -> Path:
    """Where file number `index` may be rewritten as UTF-8 CSV; the database must be opened with it."""
    return scratch / f"file{index}.csv"


class Loaded:
    """A table and how to find the line of a record again."""

    __slots__ = ("_path", "_shape", "file", "skipped", "table")

    def __init__(
        self, file: SourceFile, table: RawTable, path: Path, shape: CsvShape | None, skipped: tuple[int, ...] = ()
    ) -> None:
        self.file = file
        self.table = table
        self.skipped = skipped
        self._path = path
        self._shape = shape

    def lines(self, connection: duckdb.DuckDBPyConnection, ordinals: Collection[int]) -> dict[int, int]:
        """The physical lines of records (numbers from 0); in Parquet the row numbers, counted from 1."""
        if self.table.has_lines and ordinals:
            listed = ", ".join(map(str, ordinals))
            rows = connection.execute(f"SELECT rowid, line FROM {self.table.name} WHERE rowid IN ({listed})").fetchall()
            return dict(rows)
        if self._shape:
            found = lines_of_records(self._path, self._shape, ordinals)
            return {ordinal: found.get(ordinal, ordinal + 2) for ordinal in ordinals}
        return {ordinal: ordinal + 1 for ordinal in ordinals}

    def line(self, connection: duckdb.DuckDBPyConnection, ordinal: int) -> int:
        """The physical line of one record."""
        return self.lines(connection, [ordinal])[ordinal]


def _kind(file: SourceFile, encoding_free_head: bytes) -> str:
    suffix = Path(file.name).suffix.lower()
    if encoding_free_head.startswith(b"PAR1"):
        return "parquet"
    if suffix == ".parquet":
        raise UsageFileError("this is not a Parquet file, although its name says so.", file=file.name)
    if encoding_free_head[:2] in (b"PK", b"\x1f\x8b"):
        raise UsageFileError(
            "this is an archive or a spreadsheet.", file=file.name, hint="Unpack it, or save the sheet as CSV."
        )
    if suffix in (".json", ".jsonl", ".ndjson"):
        return "json"
    text = encoding_free_head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return "json" if text[:1] in (b"{", b"[") else "csv"


def load(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    index: int,
    scratch: Path,
    limits: Limits,
    cancelled: CancelFlag,
    *,
    skip_bad: bool = False,
) -> Loaded:
    """Reads one file into the table `raw<index>`.

    Args:
        connection: from `open_database`, allowed to read `file.path` and `scratch_path(scratch, index)`.
        skip_bad: leave records of a wrong shape out.

    Raises:
        UsageFileError: the file cannot be read; says where.
    """
    try:
        with file.path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise UsageFileError(f"the file cannot be opened ({error.strerror}).", file=file.name) from None
    if not head:
        raise UsageFileError("the file is empty.", file=file.name, hint="Attach a file with at least one usage record.")
    kind = _kind(file, head)
    if kind == "parquet":
        return _load_parquet(connection, file, index, limits, cancelled)
    encoding = check_text(file.path, file.name, limits, cancelled)
    path, notes = file.path, list[str]()
    if encoding != "utf-8":
        path = scratch_path(scratch, index)
        to_utf8(file.path, encoding, path, file.name, cancelled)
        if encoding != "utf-8-sig":
            notes.append(f"the text is {encoding.upper().replace('CP1252', 'Windows-1252')}, not UTF-8")
    if kind == "json":
        return _load_json(connection, file, path, index, scratch, limits, cancelled, skip_bad, notes)
    return _load_csv(connection, file, path, index, limits, cancelled, skip_bad, notes)


def _load_csv(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    path: Path,
    index: int,
    limits: Limits,
    cancelled: CancelFlag,
    skip_bad: bool,
    notes: list[str],
) -> Loaded:
    import duckdb

    shape = csv_shape(path, file.name, limits)
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(len(shape.names)))
    name = f"raw{index}"
    statement = (
        f"CREATE TABLE {name} AS SELECT * FROM read_csv({literal(str(path))}, delim = {literal(shape.delimiter)}, "
        f"quote = '\"', escape = '\"', header = false, skip = {shape.header_lines}, auto_detect = false, "
        f"columns = {{{columns}}}, strict_mode = true, max_line_size = {limits.line_bytes + 1024}, nullstr = '', "
        f"ignore_errors = {'true' if skip_bad else 'false'})"
    )
    bad = None if skip_bad else _quick_shape_problem(path, shape, file.name)
    if bad:
        raise bad
    try:
        with guarded(connection, cancelled, limits.load_seconds, f"Reading `{file.name}`"):
            connection.execute(statement)
    except duckdb.Error as error:
        problem = first_bad_record(path, shape, file.name)
        if problem is None:
            found = re.search(r"Line:\s*(\d+)", str(error))
            problem = UsageFileError(
                "this record cannot be read as a row of the table." if found else "its rows cannot be told apart.",
                file=file.name,
                line=int(found[1]) if found else None,
                hint=None if found else "Save it with the same line end everywhere (LF or CRLF) and attach it again.",
                skippable=found is not None,
            )
        raise problem from None
    rows = _count(connection, name)
    if not rows:
        raise UsageFileError("there is a header and no row after it.", file=file.name, line=1)
    format_id = known.id if (known := recognise(shape.names)) else "table"
    table = RawTable(name, shape.names, format_id, rows, shape.has_header, notes=(*notes, *shape.notes))
    return Loaded(file, _with_nested(connection, table), path, shape)


def _quick_shape_problem(path: Path, shape: CsvShape, name: str) -> UsageFileError | None:
    """Small files are checked record by record beforehand: DuckDB forgives some things that Python's reader names."""
    return first_bad_record(path, shape, name) if path.stat().st_size <= 1 << 20 else None


def _load_json(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    path: Path,
    index: int,
    scratch: Path,
    limits: Limits,
    cancelled: CancelFlag,
    skip_bad: bool,
    notes: list[str],
) -> Loaded:
    import duckdb

    target = scratch_path(scratch, index)
    if target == path:  # already rewritten as UTF-8: read that, write beside it, and put the result in its place
        target = target.with_suffix(".flat")
    names, _, skipped = flatten_json(path, target, file.name, limits, cancelled, skip_bad=skip_bad)
    if target.suffix == ".flat":
        target = target.replace(path)
    names, renamed = unique_names(list(names))
    columns = ", ".join(["'line': 'BIGINT'", *(f"'c{position}': 'VARCHAR'" for position in range(len(names)))])
    name = f"raw{index}"
    try:
        with guarded(connection, cancelled, limits.load_seconds, f"Reading `{file.name}`"):
            connection.execute(
                f"CREATE TABLE {name} AS SELECT * FROM read_csv({literal(str(target))}, delim = ',', quote = '\"', "
                f"escape = '\"', header = false, auto_detect = false, columns = {{{columns}}}, null_padding = true, "
                f"nullstr = '', max_line_size = {16 * limits.line_bytes})"
            )
    except duckdb.Error:
        raise UsageFileError("the records of this file could not be put into a table.", file=file.name) from None
    format_id = known.id if (known := recognise(names)) else "table"
    rows = _count(connection, name)
    table = RawTable(name, names, format_id, rows, has_lines=True, notes=(*notes, *renamed))
    return Loaded(file, table, path, None, tuple(skipped))


def _load_parquet(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, index: int, limits: Limits, cancelled: CancelFlag
) -> Loaded:
    import duckdb

    source = f"read_parquet({literal(str(file.path))})"
    name = f"raw{index}"
    try:
        with guarded(connection, cancelled, limits.load_seconds, f"Reading `{file.name}`"):
            described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            if len(described) > limits.columns:
                raise UsageFileError(f"more than {limits.columns:,} columns.", file=file.name)
            parts = []
            for position, (column, kind, *_) in enumerate(described):
                nested = kind.startswith(("STRUCT", "MAP")) or kind.endswith("[]")
                value = f"to_json({quoted(column)})" if nested else quoted(column)
                if kind == "BLOB":
                    value = "NULL"
                parts.append(f"CAST({value} AS VARCHAR) AS c{position}")
            connection.execute(f"CREATE TABLE {name} AS SELECT {', '.join(parts)} FROM {source}")
    except duckdb.Error as error:
        reason = re.sub(r"['\"]?[^'\"\s]*/[^'\"\s]*['\"]?", "the file", str(error).splitlines()[0])[:200]
        raise UsageFileError(f"this Parquet file cannot be read ({reason}).", file=file.name) from None
    rows = _count(connection, name)
    if not rows:
        raise UsageFileError("the file has no rows.", file=file.name)
    names, renamed = unique_names([str(column) for column, *_ in described])
    format_id = known.id if (known := recognise(names)) else "table"
    table = _with_nested(connection, RawTable(name, names, format_id, rows, notes=tuple(renamed)))
    return Loaded(file, table, file.path, None)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found[0]) if found else 0


def _paths(value: object, prefix: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [prefix]
    return [path for key, inner in list(value.items())[:200] for path in _paths(inner, (*prefix, str(key)))]


def _with_nested(connection: duckdb.DuckDBPyConnection, table: RawTable) -> RawTable:
    """Adds columns for fields that a known format keeps inside a column of JSON text, such as LiteLLM's `metadata`."""
    names = list(table.columns)
    for position, column in enumerate(table.columns):
        attributes = column.lower() in ("attributes", "span_attributes", "spanattributes")
        if not attributes and column.lower() != "metadata":
            continue
        found: dict[str, tuple[str, ...]] = {}
        sample = connection.execute(
            f"SELECT c{position} FROM {table.name} WHERE c{position} LIKE '{{%' LIMIT 200"
        ).fetchall()
        for (text,) in sample:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                continue
            for path in _paths(value, ()):
                name = ".".join(path if attributes else (column, *path))
                if name.lower() in _NESTED_NAMES and name not in names:
                    found[name] = path
        for name, path in found.items():
            where = "$" + "".join('."' + part.replace('"', "") + '"' for part in path)
            target = f"c{len(names)}"
            connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {target} VARCHAR")
            connection.execute(
                f"UPDATE {table.name} SET {target} = CASE WHEN json_valid(c{position}) "
                f"THEN json_extract_string(c{position}, {literal(where)}) END"
            )
            names.append(name)
    columns = tuple(names)
    format_id = known.id if (known := recognise(columns)) else table.format
    return replace(table, columns=columns, format=format_id)


def sample_values(
    connection: duckdb.DuckDBPyConnection, table: RawTable, count: int = 300
) -> MappingType[str, list[str]]:
    """Some values of each column, spread over the whole table."""
    step = max(1, table.rows // count)
    cells = ", ".join(f"coalesce(c{position}, '')" for position in range(len(table.columns)))
    rows = connection.execute(
        f"SELECT {cells} FROM {table.name} WHERE rowid % {step} = 0 ORDER BY rowid LIMIT {count + 50}"
    ).fetchall()
    return {column: [row[position] for row in rows] for position, column in enumerate(table.columns)}
