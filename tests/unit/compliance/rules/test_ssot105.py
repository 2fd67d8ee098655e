"""SSOT105: an enumeration of one name with other members or values."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT10"]}


def status(**values: object) -> str:
    return "from enum import Enum\n\n\nclass RunStatus(Enum):\n" + "".join(
        f"    {name} = {value!r}\n" for name, value in values.items()
    )


def tree(first: str, second: str) -> dict[str, str]:
    return {
        "app/__init__.py": "",
        "app/a.py": first,
        "app/b.py": second,
        "app/use.py": "from .a import RunStatus\n",
        "app/other.py": "from .b import RunStatus\n",
    }


OTHER_VALUES = tree(status(DONE="done", FAILED="failed"), status(DONE="completed", FAILED="failed"))


def test_the_same_members_with_other_values_are_shown_side_by_side(tmp_path: Path) -> None:
    finding = one(check(tmp_path, OTHER_VALUES, ONLY), "SSOT105")
    assert finding.severity is Severity.ERROR
    rows = [line.split() for line in finding.details]
    assert ["DONE", "attribute", "=", "'done'", "attribute", "=", "'completed'"] in rows
    assert "1 of 2 members are the same" in finding.details


def test_a_member_that_one_lacks_is_shown(tmp_path: Path) -> None:
    files = tree(status(DONE=1, FAILED=2, LOST=3), status(DONE=1, FAILED=2))
    assert ["LOST", "attribute", "=", "3", "-"] in [
        line.split() for line in one(check(tmp_path, files, ONLY), "SSOT105").details
    ]


@pytest.mark.parametrize("base", ["StrEnum", "IntEnum", "Flag"])
def test_every_kind_of_enumeration_counts(tmp_path: Path, base: str) -> None:
    files = {name: text.replace("Enum", base) for name, text in OTHER_VALUES.items()}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT105"]


def test_equal_enumerations_are_copies(tmp_path: Path) -> None:
    files = tree(status(DONE=1, FAILED=2), status(DONE=1, FAILED=2))
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT102"]


def test_an_enumeration_and_a_table_of_its_name_are_layers(tmp_path: Path) -> None:
    table = "from x import Model\nclass RunStatus(Model):\n    DONE = 1\n    FAILED = 2\n    LOST = 3\n"
    assert "SSOT105" not in ids(check(tmp_path, tree(status(DONE=1, FAILED=2), table), ONLY))


def test_enumerations_of_different_things_are_no_twins(tmp_path: Path) -> None:
    files = {name: text.replace("RunStatus", "Kind") for name, text in tree(status(A=1), status(B=1)).items()}
    assert ids(check(tmp_path, files, ONLY)) == []


def test_the_fingerprint_stays_when_values_change(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", OTHER_VALUES, ONLY), "SSOT105").fingerprint
    changed = tree("\n\n" + status(DONE="ready", FAILED="failed"), status(DONE="completed", FAILED="failed"))
    assert one(check(tmp_path / "b", changed, ONLY), "SSOT105").fingerprint == before
    renamed = {name: text.replace("RunStatus", "JobStatus") for name, text in OTHER_VALUES.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT105").fingerprint != before
