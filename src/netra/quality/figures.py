"""Whether an answer states a figure that its own run's tools state differently.

A figure is compared only when it carries the same label and the same unit on both sides, and nothing on either side
leaves doubt about which one is meant:

- In a tool's result, the label is a member's name without its unit: `total_usd` is *total* in USD, `duration_ms` is
  *duration* in milliseconds. A label under which the results hold more than one value names nothing certain.
- In the answer, it is a clause of the form *label: number*, *label is number* or *label = number* that stands alone,
  the row of a table of two columns, or a table's row whose only amount of money it is. `The total is $99.10.` has the
  label *total*; `The total for March is $99.10` has another one, and is left alone.
- The two differ by more than one unit of the last digit the answer shows, zeros at the end of a whole number being
  taken as rounding; a count that ends in another digit must be exact. When the answer states a label more than once and
  one of them agrees, nothing is said.

Large results, kept beside the log, are not compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .findings import Finding
from .markdown import AnswerPage, cells, is_rule

MOST_FIGURES = 5_000
"""Figures that are read from the results of one run's tools; what comes after is not compared."""

MOST_DIGITS = 15
"""Of a number in an answer; a float does not keep more of them apart."""

_CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
_UNITS = {
    "usd": "usd",
    "eur": "eur",
    "gbp": "gbp",
    "jpy": "jpy",
    "inr": "inr",
    "chf": "chf",
    "dollar": "usd",
    "dollars": "usd",
    "euro": "eur",
    "euros": "eur",
    "%": "percent",
    "pct": "percent",
    "percent": "percent",
    "ms": "ms",
    "milliseconds": "ms",
    "s": "s",
    "sec": "s",
    "seconds": "s",
    "min": "min",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "bytes": "bytes",
    "kb": "kb",
    "mb": "mb",
    "gb": "gb",
    "tokens": "tokens",
}
_MONEY = frozenset(_CURRENCIES.values()) | {"chf"}
_SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "bn": 1e9, "million": 1e6, "billion": 1e9}
_SMALL_WORDS = frozenset({"the", "a", "an", "your", "our", "its", "their", "this", "that", "my"})

_NUMBER = r"(?P<sign>[-−]?)(?P<currency>[$€£¥₹]?)\s?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_AFTER = r"(?:\s?(?P<scale>k|K|M|G|B|bn|million|billion))?(?:\s?(?P<unit>%|[A-Za-z]{1,12}))?"
_AMOUNT = re.compile(_NUMBER + _AFTER)
_CLAUSE = re.compile(
    r"(?:^|(?<=[.;!?])\s+)(?P<label>[A-Za-z][A-Za-z _-]{1,48}?)\s*(?::|=|\bis\b|\bwas\b|\bare\b|\bwere\b)\s*"
    + _NUMBER
    + _AFTER
    + r"\s*(?=$|[;!?]|\.(?:\s|$))"
)
_EMPHASIS = str.maketrans("", "", "*`")
_BULLET = re.compile(r"^\s*(?:[-+]|\d{1,3}[.)]|>)\s+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class _Stated:
    """A figure of an answer.

    Args:
        step: one unit of its last digit.
        exact: it is written as a whole number that is not rounded.
        written: as it stands there.
    """

    value: float
    step: float
    exact: bool
    written: str


Label = tuple[frozenset[str], str | None]
"""The words of a figure's name, and its unit."""


def contradicting(page: AnswerPage, tool_results: Sequence[tuple[str, Any]]) -> list[Finding]:
    """The figures of an answer that its tools contradict; see the module.

    Args:
        page: the answer.
        tool_results: the name and the result of each tool.
    """
    if not tool_results:
        return []
    known = _of_tools(tool_results)
    if not known:
        return []
    stated: defaultdict[Label, list[_Stated]] = defaultdict(list)
    for label, figure in _of_answer(page):
        stated[label].append(figure)
    found = []
    for label, figures in stated.items():
        meant = known.get(label)
        if meant is None:
            continue
        values, name, tool = meant
        if len(values) != 1:
            continue
        (value,) = values
        if not any(_agree(figure, value) for figure in figures):
            words = f"The answer states {name} as {figures[0].written}; the tool {tool} gave {name} = {value:.15g}."
            found.append(Finding("contradicts_tools", words))
    return found


def _agree(figure: _Stated, value: float) -> bool:
    allowed = 0.0 if figure.exact and value.is_integer() else figure.step
    return abs(abs(figure.value) - abs(value)) <= allowed + abs(value) * 1e-9


def _of_tools(results: Sequence[tuple[str, Any]]) -> dict[Label, tuple[set[float], str, str]]:
    known: dict[Label, tuple[set[float], str, str]] = {}
    left = MOST_FIGURES
    for tool, result in results:
        for name, value in _members(result):
            left -= 1
            if left < 0:
                return {}  # what was not read might make any label uncertain
            label = _label_of_member(name)
            if label is not None:
                known.setdefault(label, (set(), name, tool))[0].add(value)
    return known


def _members(value: Any) -> Iterator[tuple[str, float]]:
    """Every number in a result with the name it stands under."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            for name, inner in node.items():
                if isinstance(inner, dict | list):
                    waiting.append(inner)
                elif (number := _as_number(inner)) is not None:
                    yield name, number


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else None
    if isinstance(value, str) and len(value) <= 40 and re.fullmatch(r"-?\d+(?:\.\d+)?", value):
        return float(value)
    return None


def _label_of_member(name: str) -> Label | None:
    words = _CAMEL.sub("_", name).lower().replace("-", "_").replace(" ", "_").split("_")
    words = [word for word in words if word]
    unit = None
    if len(words) > 1 and words[-1] in _UNITS:
        unit = _UNITS[words.pop()]
    return _label(words, unit)


def _label(words: Iterable[str], unit: str | None) -> Label | None:
    kept = frozenset(word for word in words if word not in _SMALL_WORDS)
    return (kept, unit) if kept and all(word.isalpha() for word in kept) else None


def _of_answer(page: AnswerPage) -> Iterator[tuple[Label, _Stated]]:
    for block in page.blocks:
        if block.kind in ("prose", "item"):
            for line in block.text.splitlines():
                if any(map(str.isdigit, line)):
                    yield from _of_line(line)
        elif block.kind == "table":
            yield from _of_table(block.text.splitlines())


def _of_line(line: str) -> Iterator[tuple[Label, _Stated]]:
    plain = _BULLET.sub("", line).translate(_EMPHASIS).strip()
    for match in _CLAUSE.finditer(plain):
        yield from _figure(match["label"], match)


def _of_table(rows: Sequence[str]) -> Iterator[tuple[Label, _Stated]]:
    if len(rows) < 3 or not is_rule(rows[1]):
        return
    for row in rows[2:]:
        first, *others = cells(row)
        name, values = first.strip("* "), [cell.translate(_EMPHASIS).strip() for cell in others]
        if not re.fullmatch(r"[A-Za-z][A-Za-z _-]*", name):
            continue
        amounts = [match for value in values if (match := _AMOUNT.fullmatch(value))]
        if len(values) > 1:
            amounts = [match for match in amounts if match["currency"]]
        if len(amounts) == 1:
            yield from _figure(name, amounts[0])


def _figure(name: str, match: re.Match[str]) -> Iterator[tuple[Label, _Stated]]:
    """The figure of a match, unless it is one that may be read in two ways."""
    unit = _CURRENCIES.get(match["currency"])
    if match["unit"]:
        named = _UNITS.get(match["unit"].lower())
        if named is None or (unit is not None and named != unit):
            return
        unit = named
    words = re.split(r"[\s_-]+", name.lower())
    label = _label(words, unit)
    if label is None:
        return
    digits = match["digits"]
    scale = _SCALES[match["scale"] or ""]
    plain = digits.replace(",", "")
    if len(plain) > MOST_DIGITS:
        return
    decimals = len(plain.partition(".")[2])
    if decimals == 3 and plain == digits:
        return  # 1.234 is one and a bit here and more than a thousand elsewhere
    zeros = 0 if decimals else len(plain) - len(plain.rstrip("0"))
    stated = _Stated(
        value=float(plain) * scale,
        step=10.0 ** (zeros - decimals) * scale,
        exact=not zeros and not decimals and scale == 1,
        written=match[0][match.start("sign") - match.start() :].strip(),
    )
    yield label, stated
