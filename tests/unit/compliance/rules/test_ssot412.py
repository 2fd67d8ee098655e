"""SSOT412: what is one user's, in an object that all requests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT41"]}


def tree(method: str) -> dict[str, str]:
    return {
        "app/__init__.py": "",
        "app/manager.py": f"class ContextManager:\n    def __init__(self):\n        self.kept = {{}}\n\n{method}\n\n"
        "manager = ContextManager()\n",
        "app/routes.py": "from x import app\nfrom app.manager import manager\n\n\n"
        "@app.post('/')\ndef run(body):\n    manager.note(body)\n",
    }


BY_USER = tree("    def note(self, user_id, what):\n        self.kept[user_id] = what\n")


def test_state_by_user_in_an_object_of_all_is_an_error_and_said_once(tmp_path: Path) -> None:
    report = check(tmp_path, BY_USER, ONLY)
    finding = one(report, "SSOT412")
    assert finding.severity is Severity.ERROR
    assert ids(report) == ["SSOT412"]
    assert (finding.place.path, finding.place.line, finding.place.note) == ("app/manager.py", 9, "manager")
    assert "self.kept[user_id]" in finding.message


@pytest.mark.parametrize(
    "method",
    [
        "    def note(self, session_id, what):\n        self.kept[session_id] = what\n",
        "    def note(self, user, what):\n        self.kept[user.id] = what\n        self.kept[user] = what\n",
        "    def note(self, user_id, run_id, what):\n        self.kept[user_id, run_id] = what\n",
        "    def note(self, user_id, what):\n        self.kept[f'{user_id}:x'] = what\n",
        "    def note(self, user):\n        self.current = user\n",
        "    def set_user(self, user):\n        self.user = user\n",
        "    def note(self, request):\n        self.request = request\n",
        "    def note(self, tenant_id):\n        self.tenant_id = tenant_id\n",
        "    def note(self, access_token):\n        self.token = access_token\n",
    ],
)
def test_whatever_is_one_users(tmp_path: Path, method: str) -> None:
    assert ids(check(tmp_path, tree(method), ONLY)) == ["SSOT412"]


NOT_OF_A_USER = {
    "given when it is made": tree("    def __init__(self, user=None):\n        self.user = user\n"),
    "of the agent that calls": tree("    def note(self, user_agent):\n        self.register(user_agent)\n"),
    "by the name of a thing": tree("    def note(self, name, what):\n        self.kept[name] = what\n"),
    "arranged when it starts": tree("    def configure(self, session):\n        self.session = session\n"),
    "one for each thread": {
        **BY_USER,
        "app/manager.py": "import threading\n"
        + BY_USER["app/manager.py"].replace("Manager:", "Manager(threading.local):"),
    },
    "no requests": {**BY_USER, "app/routes.py": "from app.manager import manager\n"},
    "a class of which each request makes one": {
        **BY_USER,
        "app/routes.py": BY_USER["app/routes.py"].replace("import manager", "import ContextManager as C")
        + "    return C()\n",
    },
    "tests": {name.replace("app/", "tests/"): text.replace("app.m", "tests.m") for name, text in BY_USER.items()},
}


@pytest.mark.parametrize("case", NOT_OF_A_USER)
def test_is_not_of_a_user(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_OF_A_USER[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_object_and_its_class(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", BY_USER, ONLY), "SSOT412").fingerprint
    moved = {**BY_USER, "app/manager.py": "\n\n" + BY_USER["app/manager.py"].replace("user_id", "session_id")}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT412").fingerprint == before
    renamed = {name: text.replace("ContextManager", "ScopeManager") for name, text in BY_USER.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT412").fingerprint != before
