"""Usage records as JSON: one document, or one per line. Called by `ingest`, which loads what is written here.

Objects are flattened to columns with dotted names. OpenTelemetry attributes become columns under their own names, and
pages of the OpenAI and Anthropic usage APIs become one row for each result with the times of its bucket.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from netra.agents.optimizer.records import CancelFlag, Cancelled, Limits, UsageFileError

__all__ = ["flatten_json"]

_DEPTH = 12
_BREAKS = {0: None, 10: " ", 13: " "}
_decoder = msgspec.json.Decoder()


def _attribute_value(value: Any) -> Any:
    """OTLP's AnyValue: `{"stringValue": "x"}`, `{"intValue": "12"}`, …"""
    if isinstance(value, dict) and len(value) == 1:
        (kind, inner) = next(iter(value.items()))
        if kind in ("stringValue", "intValue", "doubleValue", "boolValue", "string_value", "int_value", "double_value"):
            return inner
    return value


def _flatten(record: dict[str, Any], prefix: str, into: dict[str, str], depth: int = 0) -> None:
    for key, value in record.items():
        if key in ("attributes", "Attributes", "SpanAttributes", "span_attributes", "otel_attributes"):
            pairs: Any = value
            if isinstance(value, list):  # OTLP: [{"key": …, "value": {…}}]
                pairs = {
                    item["key"]: _attribute_value(item.get("value"))
                    for item in value
                    if isinstance(item, dict) and isinstance(item.get("key"), str)
                }
            if isinstance(pairs, dict):
                _flatten(pairs, "", into, depth + 1)
            continue
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < _DEPTH:
                _flatten(value, f"{name}.", into, depth + 1)
        elif isinstance(value, list):
            if value and all(isinstance(item, (str, int, float)) for item in value) and len(value) <= 8:
                into[name] = " ".join(map(str, value))
        elif value is None:
            into.setdefault(name, "")
        elif value is True or value is False:
            into[name] = "true" if value else "false"
        elif isinstance(value, str):
            into[name] = value if len(value) <= 2000 else value[:2000]
        else:
            into[name] = str(value)


def _records(document: Any) -> Iterator[dict[str, Any]]:
    """The usage records in one JSON value."""
    if isinstance(document, list):
        for item in document:
            yield from _records(item)
        return
    if not isinstance(document, dict):
        return
    spans = document.get("resourceSpans", document.get("resource_spans"))
    if isinstance(spans, list):
        yield from _otlp(spans)
        return
    data = document.get("data")
    if isinstance(data, list) and all(isinstance(item, dict) for item in data):
        yield from _records(data)
        return
    results = document.get("results")
    if isinstance(results, list):
        bucket = {key: value for key, value in document.items() if key not in ("results", "object")}
        for item in results:
            if isinstance(item, dict):
                yield {**bucket, **{key: value for key, value in item.items() if key != "object"}}
        return
    yield document


def _otlp(resource_spans: list[Any]) -> Iterator[dict[str, Any]]:
    for resource in resource_spans:
        if not isinstance(resource, dict):
            continue
        about = resource.get("resource")
        attributes = about.get("attributes") if isinstance(about, dict) else None
        common = {
            item["key"]: _attribute_value(item.get("value"))
            for item in attributes or []
            if isinstance(item, dict) and item.get("key") in ("service.name", "user.id", "enduser.id")
        }
        for scope in resource.get("scopeSpans") or resource.get("scope_spans") or []:
            for span in scope.get("spans") or [] if isinstance(scope, dict) else []:
                if isinstance(span, dict):
                    yield {**common, **span}


def _is_usage(row: dict[str, str]) -> bool:
    """Spans that are no model request (an agent, a tool, a database call) are left out; any other record stays."""
    if "gen_ai.operation.name" in row and row["gen_ai.operation.name"] in (
        "invoke_agent",
        "create_agent",
        "execute_tool",
    ):
        return False
    if any(key in row for key in ("spanId", "span_id", "context.span_id")):
        return any(key.startswith("gen_ai.usage.") for key in row)
    return True


def _lines(
    path: Path, name: str, skip_bad: bool, skipped: list[int], cancelled: CancelFlag
) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number % 4096 == 0 and cancelled.is_set():
                raise Cancelled
            text = line.strip()
            if not text:
                continue
            try:
                value = _decoder.decode(text)
            except (msgspec.DecodeError, RecursionError) as error:
                if skip_bad:
                    skipped.append(number)
                    continue
                raise UsageFileError(
                    f"this line is not JSON ({_reason(error)}).",
                    file=name,
                    line=number,
                    hint="JSONL has one complete JSON object on each line.",
                    skippable=True,
                ) from None
            yield number, value


def _reason(error: Exception) -> str:
    text = str(error) if not isinstance(error, RecursionError) else "nested too deeply"
    return text.removeprefix("JSON is malformed: ")


def _whole(path: Path, name: str, limits: Limits) -> Any:
    if path.stat().st_size > limits.document_bytes:
        raise UsageFileError(
            f"this single JSON document is larger than {limits.document_bytes // 1024**2} MiB.",
            file=name,
            line=1,
            hint="Write one record a line (JSONL): files of that kind may be much larger.",
        )
    text = path.read_bytes()
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        words = str(error).rsplit("(byte ", 1)
        at = int(words[1].rstrip(")")) if len(words) == 2 and words[1].rstrip(")").isdigit() else 0
        raise UsageFileError(
            f"this is not JSON ({_reason(error)}).", file=name, line=text.count(b"\n", 0, at) + 1
        ) from None


def flatten_json(
    path: Path, target: Path, name: str, limits: Limits, cancelled: CancelFlag, *, skip_bad: bool = False
) -> tuple[tuple[str, ...], int, list[int]]:
    """Writes the usage records of a UTF-8 JSON or JSONL file as CSV, the physical line first, without a header.

    Args:
        path: the file.
        target: where the CSV goes.
        name: the file's name, for errors.
        skip_bad: leave lines that are no JSON objects out instead of raising.

    Returns:
        column names, number of records, lines left out.

    Raises:
        UsageFileError: names the line.
    """
    skipped: list[int] = []
    values: Iterator[tuple[int, Any]]
    if _is_line_by_line(path):
        values = _lines(path, name, skip_bad, skipped, cancelled)
    else:
        values = iter([(1, _whole(path, name, limits))])
    columns: dict[str, int] = {}
    rows = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        for line, value in values:
            if not isinstance(value, (dict, list)):
                if skip_bad:
                    skipped.append(line)
                    continue
                kind = "null" if value is None else type(value).__name__
                raise UsageFileError(f"this is a {kind}, not an object.", file=name, line=line, skippable=True)
            for record in _records(value):
                flat: dict[str, str] = {}
                _flatten(record, "", flat)
                if not _is_usage(flat):
                    continue
                for column in flat:
                    if column not in columns:
                        if len(columns) >= limits.columns:
                            raise UsageFileError(
                                f"more than {limits.columns:,} different fields.", file=name, line=line
                            )
                        columns[column] = len(columns)
                row = [""] * len(columns)
                for column, text in flat.items():
                    row[columns[column]] = text.translate(_BREAKS).encode("utf-8", "replace").decode()
                writer.writerow([line, *row])
                rows += 1
                if rows % 4096 == 0 and cancelled.is_set():
                    raise Cancelled
    if not rows:
        raise UsageFileError(
            "there is no usage record in this file.",
            file=name,
            line=1,
            hint="For spans, the attributes `gen_ai.usage.input_tokens` and `gen_ai.usage.output_tokens` are needed.",
        )
    return tuple(columns), rows, skipped


def _is_line_by_line(path: Path) -> bool:
    """The first line that is not blank is a complete JSON value and is not the only one, or ends the file."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                try:
                    _decoder.decode(line)
                except (msgspec.DecodeError, RecursionError):
                    # A broken first line of many: report it as a line. A lone bracket opens a document.
                    return line.strip() not in (b"{", b"[") and line.strip().endswith(b"}")
                return True
    return True
