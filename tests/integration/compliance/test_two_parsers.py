"""Facts are what another parser sees too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ODD = """\
from typing import overload
if True:
    import a.b as c, d.e
else:
    from . import *
class Outer(Base[int], other.Base, make()):
    class Inner: pass
    @overload
    def method(self, /, a: int) -> int: ...
    @overload
    def method(self, /, a: str) -> str: ...
    async def method(self, /, a, b=1, *rest, c, d=2, **more):
        def local(): from .. import sibling
match x:
    case {"a": 1}:
        def in_case(): ...
    case _:
        try:
            from .near import name as alias
        except* ValueError:
            class InHandler: ...
        finally:
            with open("f") as f:
                def in_with(*, only): ...
"""


def test_another_parser_sees_the_same_imports_classes_and_functions(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD, "utf-8")
    command = [sys.executable, "benchmarks/compliance/parsers.py", "src/netra", str(tmp_path)]
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    ours, odd = compared.stdout.splitlines()
    assert ", 0 differ; 0 files not read by both" in ours
    assert odd.endswith("1 files, 15 rows, 0 differ; 0 files not read by both")
