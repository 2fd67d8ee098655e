"""SSOT121: one name that is one class by one import path and another class by another."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT12"]}
MANAGER = "class AgentManager:\n    def start(self): ...\n    def stop(self): ...\n    def names(self): ...\n"
SPLIT = {
    "app/__init__.py": "",
    "app/core.py": MANAGER,
    "app/old_home.py": "from app import core\n\n\nclass AgentManager(core.AgentManager):\n    pass\n",
    "app/one.py": "from app.core import AgentManager\n",
    "app/two.py": "from app.old_home import AgentManager\n",
}


def test_an_empty_subclass_splits_a_name_when_both_are_imported(tmp_path: Path) -> None:
    finding = one(check(tmp_path, SPLIT, ONLY), "SSOT121")
    assert finding.severity is Severity.ERROR
    assert (finding.place.path, finding.place.line) == ("app/old_home.py", 4)
    assert finding.canonical == "app/core.py"
    assert finding.involved == ("app/old_home.py",)


def test_both_chains_are_shown(tmp_path: Path) -> None:
    files = {**SPLIT, "app/front.py": "from app.core import AgentManager\n", "app/one.py": "from app.front import *\n"}
    files["app/three.py"] = "from app.front import AgentManager\n"
    details = one(check(tmp_path, files, ONLY), "SSOT121").details
    assert "app.front -> app.core -> app.core.AgentManager: app/three.py" in details
    assert "app.old_home -> app.old_home.AgentManager: app/two.py" in details


@pytest.mark.parametrize("body", ["    pass\n", "    ...\n", "    '''Moved.'''\n"])
def test_whatever_empty_means(tmp_path: Path, body: str) -> None:
    assert (
        ids(check(tmp_path, {**SPLIT, "app/old_home.py": SPLIT["app/old_home.py"].replace("    pass\n", body)})) != []
    )


def test_a_constructor_that_hands_on_what_it_gets_is_nothing_new(tmp_path: Path) -> None:
    body = "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
    files = {**SPLIT, "app/old_home.py": SPLIT["app/old_home.py"].replace("    pass\n", body)}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT121"]


def test_a_package_whose_name_leads_to_one_twin_and_a_module_below_it_to_the_other(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/agents/__init__.py": "from app.agents.new import AgentManager\n",
        "app/agents/new.py": MANAGER + "    def more(self): ...\n",
        "app/agents/first.py": MANAGER,
        "app/one.py": "from app.agents import AgentManager\n",
        "app/two.py": "from app.agents.first import AgentManager\n",
    }
    finding = one(check(tmp_path, files, ONLY), "SSOT121")
    assert finding.place.path == "app/agents/first.py"
    assert "app.agents -> app.agents.new -> app.agents.new.AgentManager: app/one.py" in finding.details
    assert "app.agents.first -> app.agents.first.AgentManager: app/two.py" in finding.details


NOT_SPLIT = {
    "an alias": {**SPLIT, "app/old_home.py": "from app import core\n\nAgentManager = core.AgentManager\n"},
    "passed on": {**SPLIT, "app/old_home.py": "from app.core import AgentManager\n"},
    "a subclass that adds something": {
        **SPLIT,
        "app/old_home.py": SPLIT["app/old_home.py"].replace("pass", "def more(self): ..."),
    },
    "another name": {
        **SPLIT,
        "app/old_home.py": "from app import core\nclass FastManager(core.AgentManager):\n    pass\n",
        "app/two.py": "from app.old_home import FastManager\n",
    },
    "a narrower exception": {
        **{name: text.replace("AgentManager", "AgentError") for name, text in SPLIT.items()},
        "app/core.py": "class AgentError(Exception): ...\n",
    },
    "a generic class with its argument": {
        **SPLIT,
        "app/old_home.py": "from app import core\nclass AgentManager(core.AgentManager[int]):\n    pass\n",
    },
    "what only type checkers see": {
        **SPLIT,
        "app/old_home.py": "from typing import TYPE_CHECKING\nfrom app import core\nif TYPE_CHECKING:\n"
        "    class AgentManager(core.AgentManager): ...\n",
    },
    "a class of a base module": {
        "app/__init__.py": "",
        "app/base.py": MANAGER,
        "app/impl.py": "from app import base\nclass AgentManager(base.AgentManager): ...\n",
        "app/one.py": "from app.base import AgentManager\n",
        "app/two.py": "from app.impl import AgentManager\n",
    },
    "a fake of the tests": {
        **{name: text for name, text in SPLIT.items() if "two" not in name and "old" not in name},
        "tests/fakes.py": "from app import core\nclass AgentManager(core.AgentManager): ...\n",
        "tests/test_it.py": "from tests.fakes import AgentManager\n",
    },
}


@pytest.mark.parametrize("case", NOT_SPLIT)
def test_is_no_split(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_SPLIT[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_two_classes(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", SPLIT, ONLY), "SSOT121").fingerprint
    more = {**SPLIT, "app/core.py": "\n\n" + MANAGER + "    def x(self): ...\n", "app/four.py": SPLIT["app/two.py"]}
    assert one(check(tmp_path / "b", more, ONLY), "SSOT121").fingerprint == before
    renamed = {name: text.replace("AgentManager", "ToolManager") for name, text in SPLIT.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT121").fingerprint != before
