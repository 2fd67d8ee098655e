"""The one rule for text, and for the depth of JSON, that comes from outside; used by every door and use case.

PostgreSQL cannot store NUL and UTF-8 cannot carry half a surrogate pair, though JSON can name both. Checked here, such
text is refused with its field instead of failing somewhere inside.
"""

from __future__ import annotations

from typing import Any

from .errors import InvalidInput

JSON_DEPTH = 64
"""Levels of lists and objects that JSON from outside may have."""


def clean_text(value: str, *, field: str, max_chars: int, min_chars: int = 0) -> str:
    """`value` unchanged, when it can be stored and sent.

    Args:
        value: the text.
        field: its name in the request, for the error.
        max_chars, min_chars: its length in characters (code points), both inclusive.

    Raises:
        InvalidInput: not text, too short, too long, or with a NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be text.", field=field)
    if len(value) < min_chars:
        least = "must not be empty" if min_chars == 1 else f"must have at least {min_chars} characters"
        raise InvalidInput(f"{field} {least}.", field=field)
    if len(value) > max_chars:
        raise InvalidInput(f"{field} must have at most {max_chars} characters.", field=field)
    if "\0" in value:
        raise InvalidInput(f"{field} must not contain the NUL character.", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{field} must not contain half a surrogate pair.", field=field) from None
    return value


def clean_id(value: str, *, field: str = "id") -> str:
    """`value` unchanged, when it can be an id.

    Raises:
        InvalidInput: see `clean_text`; ids have 1 to 64 characters.
    """
    return clean_text(value, field=field, max_chars=64, min_chars=1)


def too_deep(value: Any) -> bool:
    """Whether decoded JSON has more than `JSON_DEPTH` levels of lists and objects."""
    level = [value]
    for _ in range(JSON_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return any(isinstance(node, dict | list) for node in level)
