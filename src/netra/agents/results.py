"""What a step or an agent gives back, as JSON: encoded once, and the same now and when it is read after a crash."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["encode_json", "shorten", "storable", "to_json"]


def _other(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic
    if callable(dump):
        return dump(mode="json")
    item = getattr(value, "item", None)  # numpy's scalars
    if callable(item) and getattr(value, "ndim", None) == 0:
        return item()
    raise NotImplementedError


_encoder = msgspec.json.Encoder(enc_hook=_other)


def encode_json(value: Any) -> bytes:
    """The JSON of a value.

    Raises:
        TypeError: it cannot be written as JSON; the message names the type.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, NotImplementedError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"{type(value).__name__} is not JSON-serialisable: {error}") from error


def storable(text: str) -> str:
    """Text that can be stored: half a surrogate pair, which no JSON may carry, becomes a question mark.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is expected here, not {type(text).__name__}")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def shorten(text: str, most_bytes: int) -> str:
    """Clean text of at most so many bytes in UTF-8; what is cut leaves an ellipsis.

    Raises:
        TypeError: it is no text.
    """
    clean = storable(text)
    if len(clean) * 4 <= most_bytes:  # no character takes more
        return clean
    raw = clean.encode()
    if len(raw) <= most_bytes:
        return clean
    return raw[: most_bytes - len("…".encode())].decode(errors="ignore") + "…"


def to_json(value: Any) -> Any:
    """A value as it looks after a round trip through JSON: tuples are lists, dates are text.

    Raises:
        TypeError: it cannot be written as JSON.
    """
    if value is None or value is True or value is False or (type(value) is str and value.isascii()):
        return value
    return msgspec.json.decode(encode_json(value))
