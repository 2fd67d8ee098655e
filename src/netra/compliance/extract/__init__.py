"""Facts of a file, from its bytes.

`extract` never raises: a file that does not parse is read as far as it can be, and what cannot be read is said.
"""

from __future__ import annotations

from netra.compliance import text as source_text
from netra.compliance.facts import FileFacts, Trouble

from .parse import parse
from .statements import Statements

__all__ = ["MOST_BYTES", "extract"]


MOST_BYTES = 4 * 1024 * 1024


def extract(data: bytes) -> FileFacts:
    """The facts of a file from its bytes. Raises nothing."""
    if len(data) > MOST_BYTES:
        return _nothing(data.count(b"\n") + 1, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    text = source_text.decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", " ")
    try:
        trees, trouble = parse(text)
        return Statements(text, trouble).run(trees)
    except (RecursionError, MemoryError) as error:
        return _nothing(text.count("\n") + 1, f"nested too deeply ({type(error).__name__})")


def _nothing(lines: int, why: str) -> FileFacts:
    return FileFacts(lines, [], [], [], [], [], [], [], None, False, [], [Trouble(1, why)], "", [])
