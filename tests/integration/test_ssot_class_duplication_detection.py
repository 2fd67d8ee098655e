"""One definition for every concept: each public class of `netra` has one home, and every import path leads to it.

Two classes may share an ordinary word when they are parts of different vocabularies and nobody holds one for the
other; each such word is listed here with its meanings. A name of the specification never is one of them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import netra
from netra_compat.table import MODULES

SOURCE = Path(netra.__file__).parent
HOMONYMS = {
    "Attempt": "to sign in; at a run",
    "Entry": "an event to append to the log; an execution in the book of executions",
    "File": "of a thread; of source code that is checked",
    "Files": "of a thread, as an agent sees them; of a user, as they are kept",
    "Finding": "about an answer; about source code; about an installation",
    "Limits": "of what a client may send; of one analysis",
    "Note": "what a run has taken so far; how a door says what a user did",
    "Severity": "of an incident; of a finding about source code",
    "Step": "of a rehearsal; of an execution from phase to phase",
    "User": "as clients see one; as identity knows one",
}
"""Ordinary words with two meanings. A further one wants another name, or its meanings here."""


@cache
def definitions() -> dict[str, list[str]]:
    """Where every public class is defined, by name, nested ones included."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    return found


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(SOURCE.rglob("*.py"))]


def modules() -> list[str]:
    """Every module of netra that can be imported without doing anything."""
    names = [module.name for module in pkgutil.walk_packages([str(SOURCE)], "netra.")]
    return [name for name in names if not name.endswith("__main__") and ".migrations." not in name]


@pytest.mark.spec("rules.one-definition")
def test_every_public_class_name_is_defined_once() -> None:
    twins = {name: places for name, places in definitions().items() if len(places) > 1 and name not in HOMONYMS}
    assert twins == {}, "one of each wants another name, or the two meanings a line in HOMONYMS"


def test_every_word_listed_with_two_meanings_still_has_them() -> None:
    known = definitions()
    assert [word for word in HOMONYMS if len(known.get(word, ())) < 2] == []


@pytest.mark.spec("rules.one-definition")
def test_names_of_the_specification_have_one_definition_and_no_second_meaning() -> None:
    known = definitions()
    named = {real for names in MODULES.values() for home, real in names.values() if home.startswith("netra.")}
    classes = {name for name in named if name in known}
    assert {"MessageRouter", "AgentExecutionTracker", "DatabaseSessionMetrics", "AlertManager"} <= classes
    assert {name: known[name] for name in classes if len(known[name]) != 1} == {}
    assert classes & HOMONYMS.keys() == set()


@pytest.mark.spec("rules.one-definition")
def test_every_import_path_of_a_class_leads_to_its_one_object() -> None:
    strays = []
    seen = 0
    for module_name in modules():
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            if not inspect.isclass(value) or value.__module__.partition(".")[0] != "netra":
                continue
            home: object = importlib.import_module(value.__module__)
            for part in value.__qualname__.split("."):
                home = getattr(home, part, None)
            seen += 1
            if home is not value and "<locals>" not in value.__qualname__:
                strays.append(f"{module_name}.{name} is not {value.__module__}.{value.__qualname__}")
    assert seen > 500
    assert strays == []


@pytest.mark.spec("rules.one-definition", "router.one-class", "alerts.one-manager")
def test_paths_of_the_specification_that_name_one_concept_give_one_object() -> None:
    by_home: dict[tuple[str, str], set[int]] = defaultdict(set)
    for path, names in MODULES.items():
        module = importlib.import_module(path)
        for old, home in names.items():
            by_home[home].add(id(getattr(module, old)))
            canonical = getattr(importlib.import_module(home[0]), home[1])
            assert getattr(module, old) is canonical, f"{path}.{old}"
    assert {home: len(objects) for home, objects in by_home.items() if len(objects) != 1} == {}


@pytest.mark.spec("rules.one-definition")
def test_no_class_exists_only_to_rename_another() -> None:
    known = definitions()
    renamed = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef) or len(node.bases) != 1 or node.keywords or node.decorator_list:
                continue
            base = ast.unparse(node.bases[0]).rpartition(".")[2]
            body = [part for part in node.body if not isinstance(part, ast.Pass | ast.Expr)]
            if not body and base in known and not known[base][0].startswith("errors.py"):
                renamed.append(f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}({base})")
    assert renamed == []
