"""Text tables before DuckDB sees them: encoding, delimiter, header, and where a bad record stands. Called by `ingest`.

The whole file is read once in blocks, so that what is wrong with it is known by line before anything is loaded.
"""

from __future__ import annotations

import codecs
import csv
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from netra.agents.optimizer.records import CancelFlag, Cancelled, Limits, UsageFileError

__all__ = ["CsvShape", "check_text", "csv_shape", "first_bad_record", "lines_of_records", "to_utf8", "unique_names"]

_BLOCK = 1 << 20
_DELIMITERS = (",", "\t", ";", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class CsvShape:
    """How to read a CSV file: its delimiter, column names, and how many physical lines the header takes."""

    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    header_lines: int
    notes: tuple[str, ...] = ()


def _detect_encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    # UTF-16 without a mark: every other byte of ASCII text is zero.
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 3 and head[0::2].count(0) == 0:
        return "utf-16-le"
    if len(head) >= 4 and head[0::2].count(0) > len(head) // 3 and head[1::2].count(0) == 0:
        return "utf-16-be"
    return "utf-8"


def _scan(path: Path, name: str, limits: Limits, cancelled: CancelFlag) -> None:
    """Raises for the first NUL byte, byte that is not UTF-8, or line that is too long."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    line, run = 1, 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if cancelled.is_set():
                raise Cancelled
            if (at := block.find(b"\0")) >= 0:
                raise UsageFileError(
                    "there is a NUL byte here; this is not a text file.",
                    file=name,
                    line=line + block.count(b"\n", 0, at),
                    hint="Attach the CSV or JSONL itself, not a spreadsheet or an archive.",
                )
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                raise _NotUtf8(line + block.count(b"\n", 0, max(0, error.start))) from None
            first, last = block.find(b"\n"), block.rfind(b"\n")
            longest = run + (first if first >= 0 else len(block))
            if longest > limits.line_bytes:
                raise _too_long(name, line, limits)
            if first >= 0:
                line += block.count(b"\n")
                run = len(block) - last - 1
            else:
                run = longest
        if run > limits.line_bytes:
            raise _too_long(name, line, limits)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise _NotUtf8(line) from None


class _NotUtf8(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


def _too_long(name: str, line: int, limits: Limits) -> UsageFileError:
    return UsageFileError(
        f"this line is longer than {limits.line_bytes // 1024:,} KiB.",
        file=name,
        line=line,
        hint="Is the file line by line? Leave out columns with prompts and answers: only counts are needed.",
    )


def check_text(path: Path, name: str, limits: Limits, cancelled: CancelFlag) -> str:
    """The encoding to read `path` with, as Python names it, after reading all of it.

    Raises:
        UsageFileError: the file is empty, binary, or has a line over the limit; with its line.
    """
    size = path.stat().st_size
    if size == 0:
        raise UsageFileError("the file is empty.", file=name, hint="Attach a file with a header and at least one row.")
    if size > limits.file_bytes:
        raise UsageFileError(f"the file is larger than {limits.file_bytes // 1024**2:,} MiB.", file=name)
    encoding = _detect_encoding(path)
    if encoding in ("utf-8", "utf-8-sig"):
        try:
            _scan(path, name, limits, cancelled)
        except _NotUtf8:
            return "cp1252"
    return encoding


def to_utf8(path: Path, encoding: str, target: Path, name: str, cancelled: CancelFlag) -> None:
    """Writes `path` again as UTF-8 without a byte order mark.

    Raises:
        UsageFileError: the bytes are not of `encoding`; names the line.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    with path.open("rb") as source, target.open("wb") as sink:
        while True:
            if cancelled.is_set():
                raise Cancelled
            block = source.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                raise UsageFileError(
                    "from about this line on the bytes are neither UTF-8 nor Windows-1252 text.",
                    file=name,
                    line=line,
                    hint="Save the file as UTF-8 and attach it again.",
                ) from None
            line += text.count("\n")
            sink.write(text.encode("utf-8", "replace"))
            if not block:
                return


def unique_names(names: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Column names made unique and non-empty, and notes on what had to be renamed."""
    seen: dict[str, int] = {}
    unique: list[str] = []
    notes: list[str] = []
    for position, raw in enumerate(names, 1):
        name = " ".join(raw.split())[:120] or f"column_{position}"
        candidate, count = name, seen.get(name, 0)
        while candidate in seen:
            count += 1
            candidate = f"{name}_{count + 1}"
        if candidate != name:
            notes.append(f"two columns are called `{name}`; the one in place {position} is read as `{candidate}`")
        seen[name] = count
        seen.setdefault(candidate, 0)
        unique.append(candidate)
    return tuple(unique), notes


class _BadQuote(Exception):
    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason

    def told(self, name: str) -> UsageFileError:
        return UsageFileError(
            f"a quote is not closed or stands in the wrong place ({self.reason}).",
            file=name,
            line=self.line,
            skippable=True,
        )


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line on which each begins. Strict: raises _BadQuote on a stray quote."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        start = 1
        try:
            for record in reader:
                if record:
                    yield start, record
                start = reader.line_num + 1
        except csv.Error as error:
            raise _BadQuote(start, str(error)) from None


def _looks_like_data(record: list[str]) -> bool:
    """A header has names; a record of data has at least one value that begins like a number or a date."""
    return any(cell.strip()[:1].isdigit() or cell.strip()[:1] in "-+" for cell in record if cell.strip())


def csv_shape(path: Path, name: str, limits: Limits) -> CsvShape:
    """Finds delimiter and header of a UTF-8 file without byte order mark.

    Raises:
        UsageFileError: no header line, or not a table at all.
    """
    csv.field_size_limit(limits.line_bytes)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        head = [line for line in itertools.islice(file, 50) if line.strip()]
    if not head:
        raise UsageFileError("the file has only blank lines.", file=name, line=1)
    scores: list[tuple[int, int, str]] = []
    for delimiter in _DELIMITERS:
        try:
            widths = [len(record) for record in csv.reader(head[:20], delimiter=delimiter)]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            scores.append((sum(width == widths[0] for width in widths), widths[0], delimiter))
    delimiter = max(scores)[2] if scores else ","
    try:
        first = next(_records(path, delimiter), None)
        following = next(itertools.islice(_records(path, delimiter), 1, None), None)
    except _BadQuote as error:
        raise error.told(name) from None
    if first is None:
        raise UsageFileError("the file has only blank lines.", file=name, line=1)
    line, record = first
    if len(record) > limits.columns:
        raise UsageFileError(
            f"there are {len(record):,} columns; at most {limits.columns:,} are read.", file=name, line=line
        )
    notes = (
        [] if delimiter == "," else [f"columns are separated by {'a tab' if delimiter == chr(9) else f'`{delimiter}`'}"]
    )
    if _looks_like_data(record):
        names = tuple(f"column_{position}" for position in range(1, len(record) + 1))
        return CsvShape(delimiter, names, False, line - 1, (*notes, "the first line is data, so columns have no names"))
    names, renamed = unique_names(record)
    if following is None:
        raise UsageFileError(
            "there is a header and no row after it.", file=name, line=line, hint="Attach a file with rows."
        )
    return CsvShape(delimiter, names, True, following[0] - 1, (*notes, *renamed))


def first_bad_record(path: Path, shape: CsvShape, name: str) -> UsageFileError | None:
    """The first record whose shape is not the header's, as an error to raise; None when all are well."""
    width = len(shape.names)
    try:
        for line, record in _records(path, shape.delimiter):
            if len(record) != width:
                column = shape.names[len(record)] if len(record) < width else None
                missing = f"the value for `{column}` is missing" if column else f"the last is `{record[-1][:40]}`"
                return UsageFileError(
                    f"{len(record)} value(s) where the header has {width} columns; {missing}.",
                    file=name,
                    line=line,
                    column=column,
                    hint="A comma inside a value needs double quotes around the value.",
                    skippable=True,
                )
    except _BadQuote as error:
        return error.told(name)
    return None


def lines_of_records(path: Path, shape: CsvShape, ordinals: Collection[int]) -> dict[int, int]:
    """The physical lines on which records begin, found in one pass.

    Args:
        ordinals: record numbers from 0, the header not counted.
    """
    wanted = set(ordinals)
    skip = 1 if shape.has_header else 0
    found: dict[int, int] = {}
    try:
        for number, (line, _) in enumerate(_records(path, shape.delimiter), -skip):
            if number in wanted:
                found[number] = line
                if len(found) == len(wanted):
                    break
    except _BadQuote:
        pass
    return found
