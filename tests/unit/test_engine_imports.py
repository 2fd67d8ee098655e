"""DBOS is one module's affair: whoever replaces it has that module to rewrite and no other."""

from __future__ import annotations

import re
from pathlib import Path

import netra


def test_only_the_durable_module_imports_dbos() -> None:
    root = Path(netra.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"^\s*(?:from|import) dbos\b", path.read_text(), re.MULTILINE)
    }
    assert found == {"engine/durable.py"}
