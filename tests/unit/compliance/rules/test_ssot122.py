"""SSOT122: an empty subclass where an alias is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT12"]}
HOME = "class AgentManager:\n    def start(self): ...\n"


def tree(text: str, path: str = "app/moved.py") -> dict[str, str]:
    return {"app/__init__.py": "", "app/core.py": HOME, path: text}


EMPTY = tree("from app import core\n\n\nclass AgentManager(core.AgentManager):\n    pass\n")


def test_an_empty_subclass_of_the_same_name_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, EMPTY, ONLY), "SSOT122")
    assert finding.severity is Severity.WARNING
    assert (finding.place.path, finding.place.line) == ("app/moved.py", 4)
    assert finding.canonical == "app/core.py"
    assert "AgentManager = core.AgentManager" in finding.hint


def test_it_can_be_mended_by_a_machine(tmp_path: Path) -> None:
    fix = one(check(tmp_path, EMPTY, ONLY), "SSOT122").fix
    assert fix is not None and not fix.safe
    assert fix.edits[0].text == "AgentManager = core.AgentManager\n"


@pytest.mark.parametrize(
    "text",
    [
        "from app.core import AgentManager\nclass LegacyAgentManager(AgentManager): ...\n",
        "from app.core import AgentManager\nclass AgentManagerCompat(AgentManager):\n    '''The old name.'''\n",
    ],
)
def test_a_name_of_the_past_counts_like_the_same_name(tmp_path: Path, text: str) -> None:
    assert ids(check(tmp_path, tree(text), ONLY)) == ["SSOT122"]


def test_a_module_of_the_past_counts_like_the_same_name(tmp_path: Path) -> None:
    text = "from app.core import AgentManager\nclass Supervisor(AgentManager): ...\n"
    assert ids(check(tmp_path / "a", tree(text, "app/compat.py"), ONLY)) == ["SSOT122"]
    assert ids(check(tmp_path / "b", tree(text, "app/office.py"), ONLY)) == []


@pytest.mark.parametrize(
    "call", ["super().__init__(*args, **kwargs)", "super(AgentManager, self).__init__(*args, **kwargs)"]
)
def test_a_constructor_that_hands_on_what_it_gets_is_nothing_new(tmp_path: Path, call: str) -> None:
    body = f"    def __init__(self, *args, **kwargs) -> None:\n        {call}\n"
    files = tree(EMPTY["app/moved.py"].replace("    pass\n", body))
    assert "only hands on" in one(check(tmp_path, files, ONLY), "SSOT122").message


def test_when_both_are_imported_it_is_the_worse_finding(tmp_path: Path) -> None:
    files = {
        **EMPTY,
        "app/one.py": "from app.core import AgentManager\n",
        "app/two.py": "from app.moved import AgentManager\n",
    }
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT121"]


FAITHFUL = "from app import core\nclass AgentManager(core.AgentManager):\n"
NOT_INSTEAD = {
    "an alias": tree("from app import core\nAgentManager = core.AgentManager\n"),
    "a constructor that changes something": tree(
        f"{FAITHFUL}    def __init__(self, *args, **kwargs):\n        super().__init__(*args, fast=True, **kwargs)\n"
    ),
    "a constructor that says it is deprecated": tree(
        f"{FAITHFUL}    def __init__(self, *args, **kwargs):\n        warn('moved')\n"
        "        super().__init__(*args, **kwargs)\n"
    ),
    "an attribute": tree(f"{FAITHFUL}    limit = 3\n"),
    "a decorator": tree(FAITHFUL.replace("class", "@register\nclass") + "    pass\n"),
    "a metaclass": tree(FAITHFUL.replace("AgentManager)", "AgentManager, metaclass=Meta)") + "    pass\n"),
    "two bases": tree(FAITHFUL.replace("AgentManager)", "AgentManager, Mixin)") + "    pass\n"),
    "another name": tree(FAITHFUL.replace("class AgentManager", "class Boss") + "    pass\n"),
    "empty data classes in one module": {
        "app/__init__.py": "",
        "app/a.py": "class UserBase:\n    name = 1\nclass UserCreate(UserBase): ...\nclass UserEdit(UserBase): ...\n",
    },
    "a base of another distribution": tree("import core2\nclass AgentManager(core2.AgentManager): ...\n"),
    "an exception": {
        "app/__init__.py": "",
        "app/core.py": "class LostError(Exception): ...\n",
        "app/moved.py": "from app import core\nclass LostError(core.LostError): ...\n",
    },
    "another version": {
        "app/__init__.py": "",
        "app/v1.py": HOME,
        "app/v2.py": "from app import v1\nclass AgentManager(v1.AgentManager): ...\n",
    },
    "a local class": tree("from app import core\ndef f():\n    class AgentManager(core.AgentManager): ...\n"),
    "tests": {
        "app/__init__.py": "",
        "app/core.py": HOME,
        "tests/fakes.py": "from app import core\nclass AgentManager(core.AgentManager): ...\n",
    },
}


@pytest.mark.parametrize("case", NOT_INSTEAD)
def test_is_meant_to_be_a_class(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_INSTEAD[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_two_classes(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", EMPTY, ONLY), "SSOT122").fingerprint
    moved = {**EMPTY, "app/moved.py": "import os\n\n\n" + EMPTY["app/moved.py"].replace("pass", "...")}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT122").fingerprint == before
    renamed = {name: text.replace("AgentManager", "ToolManager") for name, text in EMPTY.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT122").fingerprint != before
