"""From bytes to statements: a file that does not parse is read piece by piece, and what cannot be read is said."""

from __future__ import annotations

import ast
import re
import warnings

from netra.compliance.facts import Trouble

from .newer import without_newer

_TOP = re.compile(r"^(?!(?:else|elif|except|finally)\b)(?=[^\s#)\]}])", re.MULTILINE)
_MOST_JOINED = 40
_TOGETHER = 64
"""Pieces that are parsed at once, in the hope that none of them is broken."""
_MOST_AGAIN = 4
"""Times the length of a file that pieces of it are joined and parsed, so that no file takes for ever."""
_DEEPEST = 4000
_GOES_ON = re.compile(r"unterminated triple-quoted|was never closed|unexpected EOF")
"""Of a piece whose end is in a later one."""
_DEEP = (RecursionError, MemoryError)
"""What the parser raises of nesting that is too deep for it."""


def parse(text: str) -> tuple[list[ast.stmt], list[Trouble]]:
    """The statements of a file, and where it could not be parsed.

    Raises:
        RecursionError: it is nested too deeply for the stack of this thread.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes and the like, which are not ours to tell
        try:
            return ast.parse(text).body, []
        except (SyntaxError, ValueError) as error:
            if "\0" in text:
                return _parse_again(text.replace("\0", " "), Trouble(1, "has NUL bytes"))
            if (older := without_newer(text)) != text:
                return parse(older)
            line = getattr(error, "lineno", None) or 1
            return _parse_again(text, Trouble(line, getattr(error, "msg", None) or str(error)))


def parse_deep(text: str) -> tuple[list[ast.stmt], list[Trouble]]:
    """As `parse`, for a file that is nested too deeply for it: without the statements that are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body, trouble = _parse_again(text.replace("\0", " "), None)
    kept = [each for each in body if not _is_deep(each)]
    lost = [each.lineno for each in body if _is_deep(each)]
    return kept, [Trouble(lost[0], _TOO_DEEP)] if lost else trouble


def _is_deep(statement: ast.stmt) -> bool:
    rest: list[tuple[ast.AST, int]] = [(statement, 0)]
    while rest:
        node, depth = rest.pop()
        if depth > _DEEPEST:
            return True
        rest.extend((each, depth + 1) for each in ast.iter_child_nodes(node))
    return False


def _parse_again(text: str, first: Trouble | None) -> tuple[list[ast.stmt], list[Trouble]]:
    """Parse each statement at the top level for itself, and leave out those that do not parse."""
    body: list[ast.stmt] = []
    starts = [found.start() for found in _TOP.finditer(text)]
    line = 1 + text.count("\n", 0, starts[0]) if starts else 1
    broken: list[str] = []  # pieces that do not parse: a decorator, or a string with lines at the margin, goes on
    budget = _MOST_AGAIN * len(text)

    def joined(piece: str, began: int) -> list[ast.stmt] | str:
        nonlocal budget
        whole = "".join([*broken, piece])
        budget -= len(whole)
        return _statements(whole, began) if budget > 0 else ""

    ends = [*starts[1:], len(text)] if starts else []
    alone = 0
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        piece = text[start:end]
        if at >= alone and at % _TOGETHER == 0 and not broken:
            several = text[start : ends[min(at + _TOGETHER, len(ends)) - 1]]
            together = _statements(several, line)
            if not isinstance(together, str):
                body.extend(together)
                alone = at + _TOGETHER
                line += several.count("\n")
        if at < alone:
            continue
        began = line - sum(each.count("\n") for each in broken)
        decorated = bool(broken) and broken[0].startswith("@")
        parsed = joined(piece, began) if decorated else _statements(piece, line)
        why = parsed
        if isinstance(parsed, str) and broken and len(broken) < _MOST_JOINED:
            parsed = _statements(piece, line) if decorated else joined(piece, began)
        if not isinstance(parsed, str):
            body.extend(parsed)
            broken = []
        elif first is None and parsed == _TOO_DEEP:
            first = Trouble(line, parsed)
            broken = []
        elif broken and len(broken) < _MOST_JOINED and (decorated or not piece.startswith("@")):
            broken.append(piece)
        elif piece.startswith("@") or (isinstance(why, str) and _GOES_ON.search(why)):
            broken = [piece]
        else:
            broken = []
        line += piece.count("\n")
    return body, [first or Trouble(1, _TOO_DEEP)]


_TOO_DEEP = "nested too deeply"


def _statements(piece: str, line: int) -> list[ast.stmt] | str:
    """The statements of a piece that begins at a line, or why it does not parse."""
    try:
        module = ast.parse(piece)
    except (SyntaxError, ValueError) as error:
        return getattr(error, "msg", None) or str(error)
    except _DEEP:
        return _TOO_DEEP
    if line > 1:
        ast.increment_lineno(module, line - 1)
    return module.body
