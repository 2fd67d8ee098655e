"""Ids: a prefix that says what is named, and a UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

import os
import time
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id(prefix: str) -> str:
    """A new id such as `thr_01hq3v…`: the prefix, an underscore, 26 characters of base 32.

    Ids of one process sort by the millisecond in which they were made; within one, their order is random.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version 7
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant of RFC 9562
    return prefix + "_" + _base32(value)


def lowest_id(prefix: str, moment: datetime) -> str:
    """What every id of this prefix made at `moment` or later sorts after, and every earlier one before."""
    value = (int(moment.timestamp() * 1000) & 0xFFFF_FFFF_FFFF) << 80
    return prefix + "_" + _base32(value)


def made_at(id: str) -> float | None:
    """When an id was made, in seconds since 1970 (to the millisecond); None for what is no such id."""
    digits = id.rpartition("_")[2]
    if len(digits) != 26 or not set(digits) <= set(_ALPHABET):
        return None
    value = 0
    for digit in digits:
        value = value << 5 | _ALPHABET.index(digit)
    return (value >> 80 & 0xFFFF_FFFF_FFFF) / 1000


def _base32(value: int) -> str:
    return "".join([_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5)])
