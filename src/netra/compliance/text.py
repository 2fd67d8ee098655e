"""Text of a source file: decoding that never fails, and digests that copies share.

Digests are made of lines, not of a syntax tree, so that they are the same whatever parser found where a symbol begins
and ends.
"""

from __future__ import annotations

import codecs
import re
from hashlib import blake2b
from itertools import accumulate
from struct import pack, unpack
from zlib import crc32

from .facts import SKETCH, SKETCH_LINES, Suppression

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_SUPPRESSION = re.compile(r"#\s*ssot:\s*allow\[([^\]]*)\]\s*(.*)$")


_GENERATED = re.compile(
    r"@generated\b|\bdo(?: not|n.t) (?:edit|modify)\b|\bauto(?:matically)?[- ]?generated\b"
    r"|^#(?:\W|\b(?:this|the|an?|file|code|module|is|was|been|has|please)\b)*generated\b",
    re.IGNORECASE,
)
_HEAD_LINES = 40
_HEAD_COLUMNS = 500
_ADMISSION = re.compile(
    r"\bthis (?:\w+ )?is (?:\w+ )?(?:an? )?(?:\w+ )?(?:placeholder|stub|mock)\b(?! for the (?:format|value))"
    r"|^\W*(?:a )?(?:placeholder|stub)(?:$|[\W]*$|[.,:;]| (?:for|implementation|function|method|until|-)\b)"
    r"|\b(?:placeholder|stub|mock|dummy) (?:implementation|response|result|data|value for now)\b"
    r"|\bnot yet (?:been )?implemented\b|\bnot (?:been )?implemented (?:yet|so far)\b"
    r"|\b(?:to-?do|fixme)\b[^\w]*(?:\([^)]*\)\W*)?(?:actually )?implement"
    r"(?:$|\W| (?:this|me|it|the|real|actual)\b)"
    r"|\b(?:for now|currently),? (?:just |we |we'll |simply |only )*(?:returns?|do(?:es)? nothing|pass)\b"
    r"|\bin (?:an? |the )?(?:real|actual|production) (?:implementation|system|app|application|scenario|environment)\b",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(r"sub-?class|derived|inherit|overrid|overwrit|base class|child|backend|plugin", re.IGNORECASE)
"""What is said about an interface: others are to do the work."""


def decode(data: bytes) -> str:
    """The text of a source file: its declared encoding, UTF-8, or Latin-1, which takes every byte."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                return data.decode("latin-1")
    if declared := _declared(data):
        try:
            text = data.decode(declared)
            text.encode("utf-8")  # some can write what is no character
        except (LookupError, ValueError):
            pass
        else:
            return text
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD_BYTES = 1000
_NOT_OF_SOURCE = re.compile(
    r"utf[-_]?8\b|utf[-_]?(?:16|32)|idna|punycode|undefined|u8\b|us[-_]?ascii|ascii|.*escape", re.IGNORECASE
)
"""Encodings that a declaration says nothing with, because they are tried anyway, or that no source file has."""


def _declared(data: bytes) -> str:
    """The encoding that one of the first two lines declares, as PEP 263 has it; empty where that is UTF-8."""
    head = data[:_HEAD_BYTES]
    if b"coding" not in head:
        return ""
    for line in head.split(b"\n", 2)[:2]:
        if found := _CODING.match(line):
            name = found.group(1).decode("ascii")
            return "" if _NOT_OF_SOURCE.match(name) else name
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return ""


class Lines:
    """The lines of a file as they count for digests: stripped, without comments and docstrings.

    Docstrings are left out first; then the digests of any part cost little more than to look at its bytes once.

    Args:
        text: with `\\n` between lines.
    """

    def __init__(self, text: str) -> None:
        self._raw = text.split("\n")
        self._lines = [_bare(line) if "#" in line else line for line in map(str.strip, self._raw)]
        self._prose: set[int] = set()

    def leave_out(self, first: int, last: int) -> None:
        """Lines `first` to `last`, from 1, are a docstring."""
        for at in range(first - 1, min(last, len(self._lines))):
            self._lines[at] = ""
            self._prose.add(at)

    def seal(self) -> None:
        """All docstrings are left out. What counts is kept as one run of bytes from here on."""
        self._bytes = "\n".join(filter(None, self._lines)).encode("utf-8", "surrogatepass")
        counting = self._bytes.split(b"\n") if self._bytes else []
        self._before = [0, *accumulate(map(bool, self._lines))]  # lines that count, before each
        self._starts = [0, *accumulate([len(each) + 1 for each in counting])]
        self._hashes = list(map(crc32, counting))

    def digest(self, first: int, last: int) -> str:
        """A hash that only equal lines share, of lines `first` to `last`, from 1, both included; empty for none."""
        start, end = self._counting(first, last)
        return _digest(self._bytes[self._starts[start] : self._starts[end] - 1]) if start < end else ""

    def digest_of_all(self) -> str:
        """That of the file."""
        return _digest(self._bytes) if self._bytes else ""

    def sketch(self, first: int, last: int) -> bytes:
        """The smallest hashes of the lines after the first that counts, which names the function; see `hashes`."""
        start, end = self._counting(first, last)
        if end - start - 1 < SKETCH_LINES:
            return b""
        found = sorted(set(self._hashes[start + 1 : end]))[:SKETCH]
        return pack(f"<{len(found)}I", *found)

    def admission(self, first: int, last: int) -> str:
        """The words by which comments and docstrings of these lines say that they do no work yet; empty for none."""
        for at in range(first - 1, min(last, len(self._raw))):
            line = self._raw[at]
            said = line if at in self._prose else line.partition("#")[2]
            if said and (match := _ADMISSION.search(said)) and not _OF_OTHERS.search(said):
                return " ".join(match.group(0).lower().strip(" #\"'*.,:;-").split())
        return ""

    def _counting(self, first: int, last: int) -> tuple[int, int]:
        before = self._before
        return before[min(first, len(before)) - 1], before[min(last, len(before) - 1)]


def digest(lines: list[str]) -> str:
    """A hash that only equal lines share; empty for none."""
    return _digest("\n".join(lines).encode("utf-8", "surrogatepass")) if lines else ""


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


def hashes(sketch: bytes) -> tuple[int, ...]:
    """The numbers of a sketch, ascending. It is kept as four bytes for each: numbers take ten times the memory."""
    return unpack(f"<{len(sketch) // 4}I", sketch)


def is_generated(text: str) -> bool:
    """Whether a comment before the code says that a program wrote the file."""
    for line in text.split("\n", _HEAD_LINES)[:_HEAD_LINES]:
        if line.startswith("#"):
            if _GENERATED.search(line, 0, _HEAD_COLUMNS):
                return True
        elif line.strip():
            break
    return False


def suppressions(text: str) -> list[Suppression]:
    """Comments that allow a finding on their line."""
    if "ssot:" not in text:
        return []
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if "ssot:" in line and (match := _SUPPRESSION.search(line)):
            rules = [each.strip().upper() for each in match.group(1).split(",") if each.strip()]
            found.append(Suppression(number, rules, match.group(2).strip()))
    return found


def _bare(line: str) -> str:
    """A stripped line without its comment."""
    if line.startswith("#"):
        return ""
    # With quotes on the line, the sign may be part of a string.
    return line.partition("#")[0].rstrip() if '"' not in line and "'" not in line else line
