"""SSOT103: copies of a class that have drifted apart."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT10"]}
METHODS = ("open", "close", "drain", "count", "names")


def keeper(*methods: str, signature: str = "self") -> str:
    return "class PoolKeeper:\n" + "".join(f"    def {name}({signature}): return 1\n" for name in methods)


def tree(first: str, second: str) -> dict[str, str]:
    return {
        "app/__init__.py": "",
        "app/a.py": first,
        "app/b.py": second,
        "app/use.py": "from .a import PoolKeeper\n",
        "app/other.py": "from .b import PoolKeeper\n",
    }


DRIFTED = tree(keeper(*METHODS), keeper(*METHODS[:-1]))


def test_a_copy_that_lacks_one_of_five_members_has_drifted(tmp_path: Path) -> None:
    finding = one(check(tmp_path, DRIFTED, ONLY), "SSOT103")
    assert finding.severity is Severity.ERROR
    assert finding.canonical == "app/a.py"
    assert ["names", "(self)", "-"] in [line.split() for line in finding.details]


def test_the_same_names_with_other_signatures_have_drifted(tmp_path: Path) -> None:
    finding = one(check(tmp_path, tree(keeper(*METHODS), keeper(*METHODS, signature="self, wait=1")), ONLY), "SSOT103")
    assert "5 of 5" not in " ".join(finding.details)
    assert any("(self, wait=)" in line for line in finding.details)


def test_with_less_in_common_it_is_a_twin_and_no_drifted_copy(tmp_path: Path) -> None:
    assert ids(check(tmp_path, tree(keeper(*METHODS), keeper(*METHODS[:3])), ONLY)) == ["SSOT101"]


def test_the_same_members_and_other_bodies_are_no_copies(tmp_path: Path) -> None:
    other = keeper(*METHODS).replace("return 1", "return 2")
    assert ids(check(tmp_path, tree(keeper(*METHODS), other), ONLY)) == ["SSOT103"]


def test_implementations_of_one_interface_may_look_alike(tmp_path: Path) -> None:
    head = "from .base import Keeper\n"
    files = tree(
        head + keeper(*METHODS).replace("PoolKeeper", "PoolKeeper(Keeper)"),
        head + keeper(*METHODS[:-1]).replace("PoolKeeper", "PoolKeeper(Keeper)"),
    )
    files["app/base.py"] = keeper(*METHODS).replace("PoolKeeper", "Keeper")
    assert ids(check(tmp_path, files, ONLY)) == []


def test_synchronous_and_asynchronous_editions_may_look_alike(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/_sync/pool.py": keeper(*METHODS),
        "app/_async/pool.py": keeper(*METHODS[:-1]),
    }
    assert ids(check(tmp_path, files, ONLY)) == []


def test_the_fingerprint_is_about_the_definitions_and_not_about_what_drifted(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", DRIFTED, ONLY), "SSOT103").fingerprint
    more = {**DRIFTED, "app/a.py": "\n\n" + DRIFTED["app/a.py"], "app/b.py": keeper(*METHODS[1:])}
    assert one(check(tmp_path / "b", more, ONLY), "SSOT103").fingerprint == before
    moved = {name.replace("app/b.py", "app/d.py"): text.replace(".b ", ".d ") for name, text in DRIFTED.items()}
    assert one(check(tmp_path / "c", moved, ONLY), "SSOT103").fingerprint != before
