"""`netra check` on this project: nothing to find, and one violation of any rule is enough to fail it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from netra.compliance.rule import table
from netra.compliance.running import Request, check

ROOT = Path(__file__).parents[3]

METRICS = """
class PlantedMetrics:
    def __init__(self, last_activity_at=0):
        self.last_activity_at = last_activity_at
        self.query_count = 0
        self.error_count = 0
"""
TWIN = """
class PlantedMetrics:
    def __init__(self, last_activity=0):
        self.last_activity = last_activity
        self.operations_count = 0
        self.errors = 0
"""
READER = "from planted.a import PlantedMetrics\n\n\ndef read(given: PlantedMetrics):\n"
USERS = {"u.py": "from planted.a import PlantedMetrics\n", "v.py": "from planted.b import PlantedMetrics\n"}
STEPS = "".join(f"    step_{number} = text.replace('{number}', 'x') + str({number})\n" for number in range(24))
WASH = f"def wash(text):\n{STEPS}    return step_9\n"
SPIN = (
    "def spin(text):\n"
    + STEPS.replace("step_3 = text.replace('3', 'x') + str(3)", "step_3 = str")
    + "    return step_9\n"
)
FILE = "import os\n\n\n" + "".join(f"def planted{number}(x):\n    return x + {number}\n\n\n" for number in range(8))
MODEL = "class PlantedOrder:\n    number = 1\n\n\ndef planted_orders():\n    return [1]\n"
POOL = "class PlantedPool:\n    def open(self): ...\n"
KEEPS = """
from planted.pool import PlantedPool

_pool = None


def get_planted_pool():
    global _pool
    if _pool is None:
        _pool = PlantedPool()
    return _pool
"""
ROUTES = (
    "from x import app\nfrom planted.a import manager\n\n\n@app.post('/')\ndef run(body):\n    manager.note(body, 1)\n"
)


def manager(parameter: str) -> str:
    return (
        "class PlantedManager:\n    def __init__(self):\n        self.kept = {}\n        self.current = None\n\n"
        f"    def note(self, {parameter}, what):\n        self.kept[{parameter}] = what\n"
        f"        self.current = what\n\n\nmanager = PlantedManager()\n"
    )


PLANTS: dict[str, dict[str, str]] = {
    "SSOT101": {"a.py": METRICS, "b.py": TWIN.replace("operations_count", "query_count"), **USERS},
    "SSOT102": {"a.py": METRICS, "b.py": METRICS, **USERS},
    "SSOT103": {
        "a.py": METRICS + "        self.more = 1\n        self.most = 2\n",
        "b.py": METRICS + "        self.more = 1\n        self.most = 2\n        self.extra = 3\n",
        **USERS,
    },
    "SSOT104": {
        "../first/a.py": METRICS,
        "../first/u.py": "from first.a import PlantedMetrics\n",
        "../second/a.py": METRICS + "        self.extra = 3\n",
        "../second/u.py": "from second.a import PlantedMetrics\n",
    },
    "SSOT105": {
        "a.py": "from enum import Enum\n\n\nclass PlantedMetrics(Enum):\n    DONE = 'done'\n    LOST = 'lost'\n",
        "b.py": "from enum import Enum\n\n\nclass PlantedMetrics(Enum):\n    DONE = 'finished'\n    LOST = 'lost'\n",
        **USERS,
    },
    "SSOT111": {"a.py": f"import os\n\n{WASH}", "b.py": f"LIMIT = 3\n\n\n{WASH}"},
    "SSOT112": {"a.py": WASH, "b.py": f"x = 1\n{SPIN}"},
    "SSOT113": {"wash.py": FILE, "wash_backup.py": FILE},
    "SSOT121": {
        "a.py": METRICS,
        "b.py": "from planted import a\n\n\nclass PlantedMetrics(a.PlantedMetrics):\n    pass\n",
        "u.py": "from planted.a import PlantedMetrics\n\n\ndef one(x):\n    return isinstance(x, PlantedMetrics)\n",
        "v.py": "from planted.b import PlantedMetrics\n\n\ndef two(x):\n    return isinstance(x, PlantedMetrics)\n",
    },
    "SSOT122": {
        "a.py": METRICS,
        "b.py": "from planted import a\n\n\nclass PlantedMetrics(a.PlantedMetrics):\n    pass\n",
    },
    "SSOT123": {
        "a.py": METRICS,
        "b.py": "from planted import a\n\nPlanted = a.PlantedMetrics\n\n\nclass Planted:\n    def run(self): ...\n",
    },
    "SSOT124": {
        "a.py": METRICS,
        "b.py": "from planted.a import PlantedMetrics\n\nRequestScope = PlantedMetrics\n",
    },
    "SSOT131": {
        "a.py": MODEL,
        "views.py": "from planted.a import PlantedOrder\n\n\ndef show(order: PlantedOrder) -> None: ...\n",
        "u.py": "from planted.a import PlantedOrder\n",
        "v.py": "from planted.views import PlantedOrder\n",
    },
    "SSOT132": {
        "a.py": MODEL,
        "shim.py": "from planted.a import PlantedOrder, planted_orders\n\n"
        "__all__ = ['PlantedOrder', 'planted_orders']\n",
        "u.py": "from planted.shim import PlantedOrder\n",
        "v.py": "from planted.shim import planted_orders\n",
    },
    "SSOT201": {"a.py": "from netra.planted_nowhere import thing\n"},
    "SSOT202": {"a.py": "from netra.errors import PlantedNowhere\n"},
    "SSOT203": {
        "a.py": "try:\n    from netra.nowhere import allow\nexcept ImportError:\n"
        "    def allow(x):\n        return True\n"
    },
    "SSOT204": {
        "__init__.py": "",
        "a.py": "class A:\n    pass\n",
        "deep/__init__.py": "",
        "deep/odd.py": "from ..a import A\n",
        **{f"u{number}.py": "from planted.a import A\n" for number in range(9)},
    },
    "SSOT205": {
        "a.py": MODEL,
        "u.py": "from planted.a import PlantedOrder\n",
        "v.py": "from src.planted.a import PlantedOrder\n",
    },
    "SSOT206": {"../msgspec/__init__.py": "", "u.py": "import msgspec\n"},
    "SSOT301": {"a.py": METRICS, "u.py": READER + "    return given.query_counts\n"},
    "SSOT302": {"a.py": METRICS, "b.py": TWIN, "u.py": READER + "    return given.errors\n"},
    "SSOT303": {
        "a.py": METRICS,
        "b.py": TWIN,
        "u.py": READER + "    try:\n        return given()\n    except ValueError:\n        return given.errors\n",
    },
    "SSOT304": {"a.py": METRICS, "b.py": TWIN, "u.py": READER + "    return PlantedMetrics(last_activity=1)\n"},
    "SSOT401": {
        "pool.py": POOL + KEEPS.replace("from planted.pool import PlantedPool\n", ""),
        **{
            f"u{number}.py": "from planted.pool import get_planted_pool\n\nx = get_planted_pool()\n"
            for number in range(3)
        },
        "v.py": "from planted.pool import PlantedPool\n\n\ndef around():\n    made = PlantedPool()\n    return made\n",
    },
    "SSOT402": {"pool.py": POOL, "a.py": KEEPS, "b.py": KEEPS},
    "SSOT411": {"a.py": manager("run_id"), "u.py": ROUTES},
    "SSOT412": {"a.py": manager("user_id"), "u.py": ROUTES},
    "SSOT501": {"../netra/clock.py": "\n\ndef planted():\n    import netra.gateway\n"},
    "SSOT502": {"../netra/compliance/text.py": "\n\ndef planted():\n    import netra.errors\n"},
    "SSOT503": {"a.py": "import planted.b\n", "b.py": "x = 1\n"},
    "SSOT504": {"a.py": "import planted.b\n", "b.py": "import planted.a\n"},
    "SSOT601": {"a.py": "def is_allowed(user):\n    # For now, just return True\n    return True\n"},
    "SSOT602": {"../../tests/integration/test_planted.py": "from unittest.mock import MagicMock\n"},
    "SSOT701": {"a.py": "x = 1\n" * 1200},
    "SSOT702": {"a.py": "def long():\n" + "    x = 1\n" * 150},
    "SSOT901": {"a.py": "print 'x'\n"},
    "SSOT902": {
        "../../.ssot_baseline.jsonl": '{"baseline": 1, "score": 100.0, "rules": ""}\n'
        '{"path": "src/netra/clock.py", "rule": "SSOT902", "id": "0123456789abcdef", "count": 1}\n'
    },
    "SSOT903": {"a.py": "x = 1  # ssot: allow[SSOT903] nothing is wrong here\n"},
}
"""By rule: what is added to files below `src/planted`."""
SETTINGS = {
    "SSOT104": 'services = ["src/first", "src/second"]\n',
    "SSOT503": 'independent = [{ name = "apart", modules = ["planted.a", "planted.b"] }]\n',
}
"""What a rule needs to be told."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project, as git knows it."""
    root = tmp_path_factory.mktemp("project")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py", "*.pyi", "*.toml"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def gate() -> str:
    """What the project's own check fails on, which is said in the Makefile."""
    found = re.search(r"netra check --fail-on (\S+)", (ROOT / "Makefile").read_text())
    assert found is not None
    return found[1]


@pytest.fixture
def planting(project: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The copy, in which everything is put back afterwards."""
    before = (project / "pyproject.toml").read_text()
    kept = {each: (project / "src/netra" / each).read_text() for each in ("clock.py", "compliance/text.py")}
    yield project
    (project / "pyproject.toml").write_text(before)
    for name, text in kept.items():
        (project / "src/netra" / name).write_text(text)
    for name in ("planted", "first", "second", "msgspec"):
        shutil.rmtree(project / "src" / name, ignore_errors=True)
    (project / "tests/integration/test_planted.py").unlink(missing_ok=True)
    (project / ".ssot_baseline.jsonl").unlink(missing_ok=True)


def test_this_project_has_one_truth(project: Path, gate: str) -> None:
    outcome = check(Request((project,), fail_on=gate))
    assert [f"{each.rule} {each.place.path}:{each.place.line} {each.message}" for each in outcome.shown] == []
    assert outcome.report.score.value == 100.0
    assert outcome.code == 0
    assert len(outcome.report.tree.python) > 400


def test_there_is_a_violation_for_each_rule() -> None:
    assert set(PLANTS) == set(table())


@pytest.mark.parametrize("rule", sorted(PLANTS))
def test_one_violation_fails_the_check(planting: Path, gate: str, rule: str) -> None:
    # By its own name, SSOT204 would be looked for where the project imports relatively everywhere, too.
    request = Request((planting,), select=("SSOT20" if rule == "SSOT204" else rule,), fail_on=gate, jobs=1)
    assert check(request).code == 0
    settings = planting / "pyproject.toml"
    settings.write_text(settings.read_text().replace("[tool.ssot]\n", f"[tool.ssot]\n{SETTINGS.get(rule, '')}"))
    if "__init__.py" not in PLANTS[rule]:
        (planting / "src/planted").mkdir()
        (planting / "src/planted/__init__.py").touch()
    for name, text in PLANTS[rule].items():
        path = (planting / "src/planted" / name).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(dedent(text).lstrip("\n") if text.startswith("\nclass") else text)
    outcome = check(request)
    assert outcome.code == 1, outcome.failures
    assert {each.rule for each in outcome.shown} == {rule}
