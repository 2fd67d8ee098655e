"""Syntax that is newer than the Python that runs: written so that this one reads it, line by line.

`parse` asks when a file does not parse as it is. Type parameters and `type` statements (3.12) and `except` without
parentheses (3.14) are turned into what older versions have; lines keep their numbers.
"""

from __future__ import annotations

import re

_HEAD = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+\w+[ \t]*(?=\[)", re.MULTILINE)
_TYPE = re.compile(r"^([ \t]*)type[ \t]+(\w+)[ \t]*(?=[\[=])", re.MULTILINE)
_EXCEPT = re.compile(r"^([ \t]*except\*?[ \t]+)(\w[\w.]*(?:[ \t]*,[ \t]*(?:\w+\.)*[A-Z]\w*)+)[ \t]*:", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]]")
_LONGEST = 2_000
"""Characters of type parameters."""


def without_newer(text: str) -> str:
    """The text in older syntax; itself when there is nothing newer in it."""
    return _EXCEPT.sub(r"\1(\2):", _without_parameters(_without_parameters(text, _HEAD), _TYPE))


def _without_parameters(text: str, begin: re.Pattern[str]) -> str:
    """Without the type parameters behind what begins a definition, and without the word `type`."""
    parts: list[str] = []
    done = 0
    for found in begin.finditer(text):
        if found.start() < done:
            continue
        end = _end_of_brackets(text, found.end())
        lines = "\n" * text.count("\n", found.end(), end)
        head = found.expand(r"\1\2 ") if begin is _TYPE else found.group()
        after = text[end : end + 1]
        if begin is _TYPE and text[end:].lstrip(" \t")[:1] != "=":
            continue
        # The lines of the parameters go where a line may end.
        if lines and after == "(":
            head, end = f"{head}({lines}", end + 1
        elif lines:
            head = f"{head}({lines})"
        parts += (text[done : found.start()], head)
        done = end
    return "".join((*parts, text[done:]))


def _end_of_brackets(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; `start` when there is none."""
    depth = 0
    for found in _BRACKET.finditer(text, start, start + _LONGEST) if text[start : start + 1] == "[" else ():
        depth += 1 if found.group() == "[" else -1
        if depth == 0:
            return found.end()
    return start
