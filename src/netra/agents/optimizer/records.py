"""What the optimizer's modules pass to each other: files, tables, mappings, problems. Imported by all of them, imports
none of them. Everything here is immutable and independent of the run that asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from netra.errors import AgentError

__all__ = [
    "INTEGER_ROLES",
    "JSON",
    "ROLES",
    "CancelFlag",
    "Cancelled",
    "Limits",
    "Mapping",
    "MappingQuestion",
    "RawTable",
    "Role",
    "SourceFile",
    "UsageFileError",
]

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"

Role = Literal[
    "time",
    "model",
    "input",
    "output",
    "cached",
    "cache_write",
    "cache_write_1h",
    "requests",
    "user",
    "key",
    "session",
    "provider",
    "mode",
    "status",
    "cost",
    "request_id",
    "context_window",
]
"""What a column can mean. `input` counts all tokens of the prompt or only the uncached ones: see `Mapping`."""

ROLES: tuple[Role, ...] = (
    "time",
    "model",
    "input",
    "output",
    "cached",
    "cache_write",
    "cache_write_1h",
    "requests",
    "user",
    "key",
    "session",
    "provider",
    "mode",
    "status",
    "cost",
    "request_id",
    "context_window",
)

INTEGER_ROLES: frozenset[Role] = frozenset({"input", "output", "cached", "cache_write", "cache_write_1h", "requests"})


class CancelFlag(Protocol):
    """The part of `threading.Event` that long work looks at."""

    def is_set(self) -> bool: ...


class Cancelled(Exception):
    """The run was cancelled while this worker was busy."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one analysis.

    Attributes:
        memory: what DuckDB may use, in its notation.
        threads: threads of DuckDB.
        load_seconds: time to read one file.
        query_seconds: time of one query that a person or a model asked for.
        query_rows: rows such a query may return.
        file_bytes: largest file taken.
        document_bytes: largest single JSON document (one that is not line by line), which is held in memory.
        line_bytes: longest line of a text file.
        columns: most columns of a table.
    """

    memory: str = "1GB"
    threads: int = 2
    load_seconds: float = 120.0
    query_seconds: float = 10.0
    query_rows: int = 200
    file_bytes: int = 2 * 1024**3
    document_bytes: int = 64 * 1024**2
    line_bytes: int = 1024**2
    columns: int = 1_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the thread. `name` is what the person sees; `path` never appears in an answer."""

    id: str
    name: str
    path: Path


class UsageFileError(AgentError):
    """A file cannot be used; says where and why, in words for the person who attached it.

    Attributes:
        file, line, column: where (line counts from 1 in the file as an editor shows it); None when it has no place.
        skippable: leaving out the bad lines would help.
    """

    def __init__(
        self,
        reason: str,
        *,
        file: str,
        line: int | None = None,
        column: str | None = None,
        hint: str | None = None,
        bad_lines: int | None = None,
        skippable: bool = False,
    ) -> None:
        place = f"`{file}`"
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column `{column}`"
        super().__init__(f"{place}: {reason}", hint=hint)
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.bad_lines = bad_lines
        self.skippable = skippable


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as loaded: table `name` with columns c0, c1, … of text, in the order of the file.

    Attributes:
        columns: the file's own column names, made unique.
        format: id of the recognised format, see `formats.FORMATS`; "table" for any other.
        rows: number of records.
        has_header: the names come from the file.
        has_lines: the table has a `line` column with the physical line of each record.
        notes: what was done to read the file (encoding, delimiter), for the answer.
    """

    name: str
    columns: tuple[str, ...]
    format: str
    rows: int
    has_header: bool = True
    has_lines: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which column means what, for one file.

    Attributes:
        columns: role to column name.
        reasons: role to why: "format", "name", "values" or "you said".
        otherwise: role to columns that are looked at, in order, where the first one is blank.
        input_includes_cached: the input column counts cached tokens too (OpenAI's way); otherwise they come on top
            (Anthropic's way).
        aggregated: a row sums up several requests.
        time_format: "iso", "s", "ms", "us", "ns", or a `|`-separated list of strptime formats.
    """

    columns: dict[Role, str] = field(default_factory=dict)
    reasons: dict[Role, str] = field(default_factory=dict)
    otherwise: dict[Role, tuple[str, ...]] = field(default_factory=dict)
    input_includes_cached: bool = True
    aggregated: bool = False
    time_format: str = "iso"


class MappingQuestion(AgentError):
    """The roles `missing` could not be found in `file`; the person has to say."""

    def __init__(self, file: str, missing: tuple[Role, ...], table: RawTable, samples: dict[str, list[str]]) -> None:
        super().__init__(f"`{file}`: I could not find the column for {', '.join(missing)}.")
        self.file = file
        self.missing = missing
        self.table = table
        self.samples = samples
