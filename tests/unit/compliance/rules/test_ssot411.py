"""SSOT411: one object for all requests, whose state changes; SSOT412 has a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT41"]}
MANAGER = """
class RunManager:
    def __init__(self):
        self.current = None
        self.runs = {}

    def begin(self, run):
        self.current = run

    def note(self, run_id, text):
        self.runs[run_id] = text


manager = RunManager()
"""
ROUTE = """
from x import app
from app.manager import manager


@app.post('/runs')
def run(body):
    manager.begin(body)
"""
TREE = {"app/__init__.py": "", "app/manager.py": MANAGER, "app/routes.py": ROUTE}


def test_an_object_that_routes_use_and_change_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT411")
    assert finding.severity is Severity.WARNING
    assert (finding.place.path, finding.place.line) == ("app/manager.py", 13)
    assert "self.current = run, self.runs[run_id]" in finding.message
    assert finding.details == ("changed by begin(), note()", "reached by requests through app/routes.py")


@pytest.mark.parametrize(
    "route",
    [
        "from app.manager import manager\nasync def run(request: Request): manager.begin(1)\n",
        "from app.manager import manager\nclass Run(APIView):\n    def post(self): manager.begin(1)\n",
        "from app.manager import manager\n@api_view\ndef run(x): manager.begin(1)\n",
        "from app.manager import manager\n@router.websocket('/ws')\nasync def run(ws): manager.begin(1)\n",
    ],
)
def test_whatever_serves_the_requests(tmp_path: Path, route: str) -> None:
    assert ids(check(tmp_path, {**TREE, "app/routes.py": route}, ONLY)) == ["SSOT411"]


def test_through_other_modules(tmp_path: Path) -> None:
    files = {
        **TREE,
        "app/routes.py": "from x import app\nfrom app import work\n\n\n@app.get('/')\ndef run(): return work.go()\n",
        "app/work.py": "from app.manager import manager\n\n\ndef go(): manager.begin(1)\n",
    }
    assert "through app/work.py" in one(check(tmp_path, files, ONLY), "SSOT411").details[1]


def test_requests_reach_two_modules_far(tmp_path: Path) -> None:
    def behind(count: int) -> dict[str, str]:
        files = {
            **TREE,
            "app/routes.py": "from x import app\nfrom app import m1\n\n\n@app.get('/')\ndef run(): m1.go()\n",
        }
        for at in range(1, count):
            files[f"app/m{at}.py"] = f"from app import m{at + 1}\n\n\ndef go(): m{at + 1}.go()\n"
        return {**files, f"app/m{count}.py": "from app.manager import manager\n\n\ndef go(): manager.begin(1)\n"}

    assert ids(check(tmp_path / "near", behind(2), ONLY)) == ["SSOT411"]
    assert ids(check(tmp_path / "far", behind(3), ONLY)) == []


def test_an_object_that_a_function_keeps_in_a_global(tmp_path: Path) -> None:
    lazy = MANAGER.replace("manager = RunManager()\n", "_manager = None\n\n\n") + (
        "def get_manager():\n    global _manager\n    if _manager is None:\n        _manager = RunManager()\n"
        "    return _manager\n"
    )
    files = {**TREE, "app/manager.py": lazy, "app/routes.py": ROUTE.replace("import manager", "import get_manager")}
    assert one(check(tmp_path, files, ONLY), "SSOT411").place.note == "_manager"


def changed(old: str, new: str) -> dict[str, str]:
    assert old in MANAGER
    return {**TREE, "app/manager.py": MANAGER.replace(old, new)}


SETS = MANAGER[MANAGER.index("    def begin") : MANAGER.index("\n\nmanager =")]
NOT_SHARED_STATE = {
    "no state": changed(SETS, "    def begin(self, run): return run\n"),
    "state of the start": changed(SETS, "    def configure(self, run):\n        self.current = run\n"),
    "a setter": changed(SETS, "    def set_current(self, run):\n        self.current = run\n"),
    "an assignment to a property": changed(
        SETS, "    @property\n    def of(self): ...\n    @of.setter\n    def of(self, x):\n        self.current = x\n"
    ),
    "a registry": changed(SETS, "    def register(self, name, what):\n        self.runs[name] = what\n"),
    "what is kept by name": changed(SETS, "    def note(self, name, what):\n        self.runs[name] = what\n"),
    "what is kept by part of the system": changed("run_id", "server_id") | {
        "app/manager.py": MANAGER.replace("run_id", "server_id").replace("def begin", "def configure"),
    },
    "a cache": {**TREE, "app/manager.py": MANAGER.replace("RunManager", "RunCache")},
    "settings": {**TREE, "app/manager.py": MANAGER.replace("RunManager", "RunSettings")},
    "one for each thread": changed("class RunManager:", "import threading\nclass RunManager(threading.local):"),
    "a context variable": changed(
        "    def note(self, run_id, text):\n        self.runs[run_id] = text\n", ""
    ) | {"app/manager.py": MANAGER.replace(SETS, "").replace("None", "ContextVar('x')") },
    "an object of each request": {
        **TREE,
        "app/manager.py": MANAGER.replace("manager = RunManager()\n", ""),
        "app/routes.py": ROUTE.replace("import manager", "import RunManager as R").replace("manager.b", "R().b"),
    },
    "a class of which there are other objects": {
        **TREE, "app/more.py": "from app.manager import RunManager\n\n\ndef more(): return RunManager()\n",
    },
    "no requests": {**TREE, "app/routes.py": ROUTE.replace("@app.post('/runs')\n", "")},
    "what requests do not reach": {**TREE, "app/routes.py": "@app.post('/')\ndef f(): ...\n"},
    "an import for types": {
        **TREE,
        "app/routes.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.manager import manager\n"
        "@app.post('/')\ndef f(): ...\n",
    },
    "tests": {"tests/manager.py": MANAGER, "tests/routes.py": ROUTE.replace("app.manager", "tests.manager")},
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_SHARED_STATE)
def test_is_no_shared_state(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_SHARED_STATE[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_object_and_its_class(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT411").fingerprint
    moved = {**TREE, "app/manager.py": "import os\n\n" + MANAGER.replace("note", "write")}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT411").fingerprint == before
    renamed = {name: text.replace("manager", "boss") for name, text in TREE.items() if "manager" not in name}
    renamed["app/boss.py"] = MANAGER.replace("manager =", "boss =")
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT411").fingerprint != before
