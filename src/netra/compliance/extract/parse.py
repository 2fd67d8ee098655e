"""From bytes to statements: a file that does not parse is read piece by piece, and what cannot be read is said."""

from __future__ import annotations

import ast
import re
import warnings

from netra.compliance.facts import Trouble

_TOP = re.compile(r"^(?!(?:else|elif|except|finally)\b)(?=[^\s#)\]}])", re.MULTILINE)
_MOST_JOINED = 40


def parse(text: str) -> tuple[list[ast.stmt], list[Trouble]]:
    """The statements of a file, and where it could not be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes and the like, which are not ours to tell
        try:
            return ast.parse(text).body, []
        except (SyntaxError, ValueError) as error:
            if "\0" in text:
                return _parse_again(text.replace("\0", " "), Trouble(1, "has NUL bytes"))
            line = getattr(error, "lineno", None) or 1
            return _parse_again(text, Trouble(line, getattr(error, "msg", None) or str(error)))


def _parse_again(text: str, first: Trouble) -> tuple[list[ast.stmt], list[Trouble]]:
    """Parse each statement at the top level for itself, and leave out those that do not parse."""
    body: list[ast.stmt] = []
    starts = [found.start() for found in _TOP.finditer(text)]
    line = 1 + text.count("\n", 0, starts[0]) if starts else 1
    broken: list[str] = []  # pieces that do not parse: a decorator, or a string with lines at the margin, goes on
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        piece = text[start:end]
        began = line - sum(each.count("\n") for each in broken)
        decorated = bool(broken) and broken[0].startswith("@")
        parsed = _statements("".join([*broken, piece]), began) if decorated else _statements(piece, line)
        if parsed is None and broken and len(broken) < _MOST_JOINED:
            parsed = _statements(piece, line) if decorated else _statements("".join([*broken, piece]), began)
        if parsed is not None:
            body.extend(parsed)
            broken = []
        elif len(broken) < _MOST_JOINED and (decorated or not piece.startswith("@")):
            broken.append(piece)
        else:
            broken = [piece]
        line += piece.count("\n")
    return body, [first]


def _statements(piece: str, line: int) -> list[ast.stmt] | None:
    try:
        return ast.parse("\n" * (line - 1) + piece).body
    except (SyntaxError, ValueError):
        return None
