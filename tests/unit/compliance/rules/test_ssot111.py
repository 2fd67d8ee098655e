"""SSOT111: a function copied to another module."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT11"]}
BODY = "".join(f"    step_{number} = text.replace('{number}', 'x') + str({number})\n" for number in range(10))
COPIED = f"def wash(text):\n{BODY}    return step_9\n"
TREE = {
    "app/__init__.py": "",
    "app/a.py": f"import os\n\n{COPIED}",
    "app/b.py": f"LIMIT = 3\n\n\n{COPIED}",
}


def test_a_copy_in_another_module_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT111")
    assert finding.severity is Severity.WARNING
    assert (finding.place.path, finding.place.line) == ("app/b.py", 4)
    assert [each.path for each in finding.related] == ["app/a.py"]
    assert "wash()" in finding.message


def test_docstrings_comments_and_indentation_make_no_difference(tmp_path: Path) -> None:
    said = COPIED.replace("(text):\n", "(text):\n    '''Wash.'''\n    # slowly\n")
    assert ids(check(tmp_path, {**TREE, "app/b.py": "LIMIT = 3\n" + said}, ONLY)) == ["SSOT111"]


def test_three_copies_are_one_finding(tmp_path: Path) -> None:
    finding = one(check(tmp_path, {**TREE, "app/c.py": "x = 1\n" + COPIED}, ONLY), "SSOT111")
    assert len(finding.related) == 2


def test_one_other_line_is_no_copy(tmp_path: Path) -> None:
    files = {**TREE, "app/b.py": TREE["app/b.py"].replace("'5', 'x'", "'5', 'y'")}
    assert ids(check(tmp_path, files, ONLY)) == []


SHORT = "def wash(text):\n    return text.strip()\n"
IN_CLASS = "class Washer:\n" + "".join(f"    {line}\n" for line in COPIED.splitlines())
NOT_COPIES = {
    "short ones": {"app/__init__.py": "", "app/a.py": f"import os\n{SHORT}", "app/b.py": SHORT},
    "in one module": {
        "app/__init__.py": "",
        "app/a.py": f"if x:\n    {COPIED.replace(chr(10), chr(10) + '    ').rstrip()}\nelse:\n"
        f"    {COPIED.replace(chr(10), chr(10) + '    ').rstrip()}\n",
    },
    "tests": {**TREE, "app/b.py": "", "tests/test_b.py": COPIED},
    "vendored": {**TREE, "app/b.py": "", "app/_vendor/b.py": COPIED},
    "platforms": {"app/__init__.py": "", "app/run_posix.py": COPIED, "app/run_windows.py": "x = 1\n" + COPIED},
    "versions": {"app/__init__.py": "", "app/v1/a.py": COPIED, "app/v2/a.py": "x = 1\n" + COPIED},
    "revisions of a database": {**TREE, "app/b.py": "", "app/migrations/b.py": COPIED},
    "generated": {**TREE, "app/b.py": "# @generated\n" + COPIED},
}


@pytest.mark.parametrize("case", NOT_COPIES)
def test_is_no_copy(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_COPIES[case], ONLY)) == []


def test_what_is_copied_as_a_whole_is_said_once(tmp_path: Path) -> None:
    files = {"app/__init__.py": "", "app/a.py": COPIED * 2, "app/b.py": COPIED * 2}
    assert ids(check(tmp_path / "file", files, ONLY)) == ["SSOT113"]
    classes = {"app/__init__.py": "", "app/a.py": f"import os\n{IN_CLASS}", "app/b.py": f"x = 1\n{IN_CLASS}"}
    assert "SSOT111" not in ids(check(tmp_path / "class", classes, {"select": ["SSOT1"]}))


def test_the_fingerprint_stays_when_both_copies_change_or_move(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT111").fingerprint
    changed = {name: "\n\n" + text.replace("str(4)", "str(44)") for name, text in TREE.items()}
    assert one(check(tmp_path / "b", changed, ONLY), "SSOT111").fingerprint == before
    renamed = {name: text.replace("wash", "clean") for name, text in TREE.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT111").fingerprint != before
