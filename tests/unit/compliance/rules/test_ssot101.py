"""SSOT101: one public class name, several definitions with different members, and somebody who may mix them up."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

DATABASE = """
class SessionMetrics:
    def __init__(self):
        self.last_activity_at = None
        self.query_count = 0
        self.error_count = 0
"""
SYSTEM = """
class SessionMetrics:
    def __init__(self):
        self.last_activity = None
        self.operations_count = 0
        self.errors = 0
"""
TWINS = {
    "app/__init__.py": "",
    "app/database.py": DATABASE,
    "app/system.py": SYSTEM,
    "app/pool.py": "from app.database import SessionMetrics\n\nheld = SessionMetrics()\n",
    "app/report.py": "from .database import SessionMetrics\n",
    "app/watch.py": "from app import system\n\nheld = system.SessionMetrics()\n",
}
ONLY = {"select": ["SSOT10"]}


def test_two_classes_of_one_name_with_different_members_are_one_finding(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TWINS, ONLY), "SSOT101")
    assert finding.severity is Severity.ERROR
    assert (finding.place.path, finding.place.line) == ("app/system.py", 1)
    assert [(each.path, each.line) for each in finding.related] == [("app/database.py", 1)]
    assert "SessionMetrics" in finding.message


def test_the_definition_most_files_use_is_the_canonical_candidate_and_loses_nothing(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TWINS, ONLY), "SSOT101")
    assert finding.canonical == "app/database.py"
    assert finding.involved == ("app/system.py",)
    assert finding.related[0].note == "canonical candidate, used by 2 files (app/pool.py, app/report.py)"
    assert finding.place.note == "used by 1 file (app/watch.py)"


def test_members_stand_side_by_side(tmp_path: Path) -> None:
    rows = [line.split() for line in one(check(tmp_path, TWINS, ONLY), "SSOT101").details]
    assert ["member", "database.py", "system.py"] in rows
    assert ["error_count", "instance", "-"] in rows
    assert ["errors", "-", "instance"] in rows


def test_the_configuration_says_which_is_canonical(tmp_path: Path) -> None:
    config = {**ONLY, "canonical": [{"name": "SessionMetrics", "path": "app.system"}]}
    finding = one(check(tmp_path, TWINS, config), "SSOT101")
    assert finding.canonical == "app/system.py"
    assert finding.related[0].note.startswith("canonical as configured, ")


def test_a_name_that_may_be_defined_twice_is_left_alone(tmp_path: Path) -> None:
    config = {**ONLY, "allow-duplicate": [{"name": "SessionMetrics", "reason": "one for each side of the wire"}]}
    report = check(tmp_path, TWINS, config)
    assert ids(report) == []
    assert [(each.finding.rule, each.reason) for each in report.waived] == [
        ("SSOT101", "one for each side of the wire")
    ]


def test_who_imports_one_under_another_name_beside_its_own_class_tells_them_apart(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/contract.py": DATABASE,
        "app/system.py": "from app.contract import SessionMetrics as Contract\n" + SYSTEM,
    }
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.INFO
    files["app/pool.py"] = TWINS["app/pool.py"].replace("database", "contract")
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.ERROR


def test_a_family_of_three_is_one_finding(tmp_path: Path) -> None:
    finding = one(check(tmp_path, {**TWINS, "app/third.py": DATABASE + "        self.third = 1\n"}, ONLY), "SSOT101")
    assert len(finding.related) == 2


def test_definitions_with_nothing_in_common_are_only_a_remark_where_one_file_uses_both(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/a.py": "class InvoiceLedger:\n    total = 1\n    open = 2\n",
        "app/b.py": "class InvoiceLedger:\n    def walk(self): ...\n    def fly(self): ...\n",
        "app/c.py": "from .a import InvoiceLedger\nfrom .b import InvoiceLedger as Other\n",
    }
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.INFO


def test_parts_that_never_see_each_other_are_only_a_remark(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/left/__init__.py": "",
        "app/left/metrics.py": DATABASE,
        "app/left/use.py": "from .metrics import SessionMetrics\n",
        "app/right/__init__.py": "",
        "app/right/metrics.py": SYSTEM,
        "app/right/use.py": "from .metrics import SessionMetrics\n",
    }
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.INFO
    files["app/right/other.py"] = "from ..left.metrics import SessionMetrics\n"
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.ERROR


def test_packages_beside_each_other_that_are_built_alike_may_share_names(tmp_path: Path) -> None:
    left, right = either("PoolKeeper")
    files = {"app/__init__.py": ""}
    for name, text in (("c", left), ("cpp", right)):
        files |= {f"app/{name}/__init__.py": "", f"app/{name}/pool.py": text}
        files |= {f"app/{name}/use.py": "from .pool import PoolKeeper\n", f"app/{name}/ids.py": f"IDS = '{name}'\n"}
    files["app/both.py"] = "from .c.pool import PoolKeeper\nfrom .cpp.pool import PoolKeeper as Other\n"
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.INFO
    (tmp_path / "app/cpp/ids.py").rename(tmp_path / "app/cpp/names.py")
    assert one(check(tmp_path, {}, ONLY), "SSOT101").severity is Severity.ERROR


def two(first: str, second: str, one_path: str = "app/a.py", other_path: str = "app/b.py") -> dict[str, str]:
    return {"app/__init__.py": "", one_path: first, other_path: second}


def either(name: str, base: str = "", head: str = "") -> tuple[str, str]:
    opening = f"{head}class {name}{f'({base})' if base else ''}:\n"
    return (
        f"{opening}    def start(self): ...\n    def stop(self): ...\n    def extra(self): ...\n",
        f"{opening}    def start(self): ...\n    def stop(self): ...\n    def other(self): ...\n",
    )


FIRST, SECOND = either("PoolKeeper")
INTERFACE = "class Keeper:\n    def start(self): ...\n    def stop(self): ...\n"

NOT_TWINS = {
    "implementations of an interface of ours": {
        "app/base.py": INTERFACE,
        **two(*either("PoolKeeper", "Keeper", "from .base import Keeper\n")),
    },
    "implementations of an interface of another distribution": two(
        *either("PoolKeeper", "AppConfig", "from django.apps import AppConfig\n")
    ),
    "one inherits from the other": two(
        FIRST, "from .a import PoolKeeper as Base\nclass PoolKeeper(Base):\n    def other(self): ...\n"
    ),
    "one asks the other": two(
        FIRST,
        "from . import a\n"
        + SECOND.replace("def start(self): ...", "def start(self):\n        self.a = a.PoolKeeper()"),
    ),
    "one inherits from the other's module": two(
        FIRST, "from . import a\nclass PoolKeeper(a.PoolKeeper):\n    def other(self): ...\n"
    ),
    "versions of an interface": two(FIRST, SECOND, "app/v1/a.py", "app/v2/a.py"),
    "versions of a module": two(FIRST, SECOND, "app/a_v1.py", "app/a_v2.py"),
    "what is still to come": two(FIRST, SECOND, "app/pool.py", "app/beta/pool.py"),
    "what stands for another": two(FIRST, SECOND, "app/pool.py", "app/proxy.py"),
    "versions by number": two(FIRST, SECOND, "app/api21.py", "app/api22.py"),
    "versions by date": two(FIRST, SECOND, "app/api_2024_01_01/a.py", "app/api_2025_01_01/a.py"),
    "nested classes": two(
        "class A:\n    class Config:\n        limit = 1\n        title = 2\n        a = 3\n",
        "class B:\n    class Config:\n        limit = 1\n        title = 2\n        b = 3\n",
    ),
    "classes local to functions": two(
        "def f():\n    class PoolKeeper:\n        start = stop = 1\n        a = 1\n",
        "def f():\n    class PoolKeeper:\n        start = stop = 1\n        b = 1\n",
    ),
    "private names": two(*either("_PoolKeeper")),
    "what only type checkers see": two(
        FIRST,
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    class PoolKeeper:\n        start = stop = c = 1\n",
    ),
    "fallback of a third-party package": two(
        FIRST,
        "try:\n    from keeper import PoolKeeper\nexcept ImportError:\n"
        "    class PoolKeeper:\n        start = stop = c = 1\n",
    ),
    "definitions by platform": two(
        FIRST, "import sys\nif sys.platform == 'win32':\n    class PoolKeeper:\n        start = stop = c = 1\n"
    ),
    "modules by platform, written together": two(FIRST, SECOND, "app/_posixpool.py", "app/_win32pool.py"),
    "what is named as the one of the past": two(FIRST, SECOND, "app/pool.py", "app/pool_obsolete.py"),
    "revisions in a folder of one migration": two(FIRST, SECOND, "app/a/migration/a/b.py", "app/b/migration/b/c.py"),
    "modules by platform": two(FIRST, SECOND, "app/pool_linux.py", "app/pool_windows.py"),
    "styles of calling": two(FIRST, SECOND, "app/aio/pool.py", "app/sync/pool.py"),
    "revisions of a database": two(FIRST, SECOND, "app/migrations/a.py", "app/migrations/b.py"),
    "revisions of Alembic": two(FIRST, SECOND, "app/alembic/versions/a.py", "app/alembic/versions/b.py"),
    "a protocol and its implementation": two(
        FIRST,
        "from typing import Protocol\nclass PoolKeeper(Protocol):\n    def start(self): ...\n    def stop(self): ...\n",
    ),
    "fakes of tests": two(FIRST, SECOND, "app/a.py", "tests/fakes.py"),
    "generated code": two(FIRST, SECOND, "app/a.py", "app/pool_pb2.py"),
    "vendored copies": two(FIRST, SECOND, "app/a.py", "app/_vendor/pool.py"),
    "third-party copies": two(FIRST, SECOND, "app/a.py", "app/third_party/pool.py"),
    "examples": two(FIRST, SECOND, "app/a.py", "examples/a.py"),
    "tutorials": two(FIRST, SECOND, "app/tutorial/one.py", "app/tutorial/two.py"),
    "a table and the schema of what is sent": two(
        *(
            f"from x import {base}\nclass PoolKeeper({base}):\n    start = 1\n    stop = 2\n    {base.lower()} = 3\n"
            for base in ("Model", "Schema")
        )
    ),
    "names every program has": two("class Node:\n    left = right = 1\n", "class Node:\n    name = path = 1\n"),
    "two definitions in one module": {
        "app/__init__.py": "",
        "app/a.py": "class UserCreate(UserBase): ...\nclass UserUpdate(UserBase): ...\n",
    },
}


@pytest.mark.parametrize("case", NOT_TWINS)
def test_is_no_twin(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_TWINS[case], ONLY)) == []


def test_the_pair_of_the_negative_tests_is_a_finding_without_what_excuses_it(tmp_path: Path) -> None:
    files = two(FIRST, SECOND)
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.INFO  # nobody can hold the wrong one
    files["app/use.py"] = "from .a import PoolKeeper\n"
    assert one(check(tmp_path, files, ONLY), "SSOT101").severity is Severity.ERROR


def test_the_fingerprint_stays_when_lines_move_and_members_are_added(tmp_path: Path) -> None:
    before = one(check(tmp_path, TWINS, ONLY), "SSOT101").fingerprint
    moved = {
        **TWINS,
        "app/system.py": "import os\n\n\n" + SYSTEM + "        self.more = 1\n",
        "app/unrelated.py": "x = 1",
    }
    after = one(check(tmp_path, moved, ONLY), "SSOT101")
    assert after.place.line == 5 and after.fingerprint == before


def test_the_fingerprint_of_another_family_is_another(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TWINS, ONLY), "SSOT101").fingerprint
    renamed = {name: text.replace("SessionMetrics", "PoolMetrics") for name, text in TWINS.items()}
    assert one(check(tmp_path / "b", renamed, ONLY), "SSOT101").fingerprint != before


A = """
class SessionMetrics:
    last_activity_at: float
    query_count: int
    error_count: int
"""
B = """
class SessionMetrics:
    last_activity: float
    operations_count: int
    errors: int
"""


def test_the_two_session_metrics_are_one_finding_with_their_members_importers_and_the_one_to_keep(
    tmp_path: Path,
) -> None:
    files = {
        "app/__init__.py": "",
        "app/a.py": A,
        "app/b.py": B,
        "app/one.py": "from app.a import SessionMetrics\n",
        "app/two.py": "from app.a import SessionMetrics\n",
        "app/three.py": "from app.b import SessionMetrics\n",
    }
    finding = one(check(tmp_path, files, ONLY), "SSOT101")
    assert finding.severity is Severity.ERROR
    assert finding.canonical == "app/a.py"
    assert finding.related[0].note == "canonical candidate, used by 2 files (app/one.py, app/two.py)"
    assert finding.place.note == "used by 1 file (app/three.py)"
    members = {line.split()[0] for line in finding.details[1:] if "field" in line}
    assert members == {
        "error_count", "errors", "last_activity", "last_activity_at", "operations_count", "query_count",
    }  # fmt: skip
    assert finding.details[-1] == "0 of 6 members are the same"


def test_a_dict_of_what_is_sent_and_the_class_that_is_made_of_it_are_two_things(tmp_path: Path) -> None:
    fields = "    last_activity: float\n    operations_count: int\n    errors: int\n"
    sent = f"from app.base import Payload\n\n\nclass SessionMetrics(Payload):\n{fields}"
    files = {
        "app/__init__.py": "",
        "app/base.py": "from typing import TypedDict\n\n\nclass Payload(TypedDict):\n    id: int\n",
        "app/sent.py": sent,
        "app/model.py": f"class SessionMetrics:\n{fields}    other: int\n",
        "app/use.py": "from app.sent import SessionMetrics\n",
        "app/more.py": "from app.model import SessionMetrics\n",
    }
    assert "error" not in {each.severity for each in check(tmp_path, files, ONLY).findings}
    files["app/sent.py"] = sent.replace("(Payload)", "")
    assert "error" in {each.severity for each in check(tmp_path, files, ONLY).findings}


def test_a_class_that_is_made_from_the_other_stands_for_it(tmp_path: Path) -> None:
    fields = "    last_activity: float\n    operations_count: int\n    errors: int\n"
    taken = "\n    @classmethod\n    def of(cls, found: Found):\n        return cls()\n"
    files = {
        "app/__init__.py": "",
        "app/found.py": f"class SessionMetrics:\n{fields}",
        "app/shown.py": f"from app.found import SessionMetrics as Found\n\n\nclass SessionMetrics:\n{fields}{taken}",
        "app/use.py": "from app.found import SessionMetrics\n",
        "app/more.py": "from app.shown import SessionMetrics\n",
    }
    assert ids(check(tmp_path, files, ONLY)) == []
    files["app/shown.py"] = files["app/shown.py"].replace(": Found", "")
    assert ids(check(tmp_path, files, ONLY)) != []


def test_a_package_with_a_number_behind_its_name_is_another_version(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/search/__init__.py": "",
        "app/search/layer.py": "class SearchLayer:\n    url = 1\n    name = 2\n",
        "app/search2/__init__.py": "",
        "app/search2/layer.py": "class SearchLayer:\n    url = 1\n    name = 2\n    more = 3\n",
        "app/one.py": "from app.search.layer import SearchLayer\n",
        "app/two.py": "from app.search2.layer import SearchLayer\n",
    }
    assert ids(check(tmp_path, files, ONLY)) == []


def test_a_file_that_repeats_very_many_classes_was_made_from_the_others(tmp_path: Path) -> None:
    def classes(members: str) -> str:
        return "".join(f"class PartKind{number}:\n    a = 1\n    b = 2\n    {members}\n\n\n" for number in range(101))

    files = {"app/__init__.py": "", "app/all.py": classes("c = 1"), "app/lazy.py": classes("d = 2")}
    files["app/use.py"] = "from app.all import PartKind1\nfrom app.lazy import PartKind2\n"
    assert ids(check(tmp_path, files, ONLY)) == []
