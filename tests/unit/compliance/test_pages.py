"""The pages of the rules: each rule has one, and what it shows as bad is found and what it shows as good is not.

A block of an example is a tree: a line `# path.py` begins a file, and `# path.py is gone` says that the good one has
none. What the bad example defines and the good one does not show again stays. `AROUND` has what a page leaves to its
reader: the classes an example names, and the files beside it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from netra.compliance.rule import table
from support.code_base import check

PAGES = Path(__file__).parents[3] / "docs" / "rules"
FILE = re.compile(r"^# (\S+\.py)( is gone)?(?:,.*)?$", re.MULTILINE)
LISTINGS = {"SSOT113", "SSOT701", "SSOT902"}
"""Rules whose subject no page can hold: whole files, and a baseline."""
SESSIONS = "class SessionMetrics:\n    def __init__(self, last_activity_at=0.0):\n        self.at = last_activity_at\n"
WORKERS = "class SessionMetrics:\n    def __init__(self, last_activity=0.0):\n        self.at = last_activity\n"
AROUND: dict[str, dict[str, str | None]] = {
    "SSOT101": {"app/report.py": "from app.database import SessionMetrics\n"},
    "SSOT102": {
        "app/report.py": "from app.api.paging import PageRequest\n",
        "app/export.py": "from app.jobs.paging import PageRequest\n",
    },
    "SSOT103": {
        "app/report.py": "from app.pool import PoolKeeper\n",
        "app/export.py": "from app.workers.pool import PoolKeeper\n",
    },
    "SSOT105": {"app/list.py": "from app.jobs import RunStatus\n"},
    "SSOT123": {"app/engines.py": "class Runner: ...\n"},
    "SSOT132": {"app/database/session.py": "class Session: ...\n\n\ndef open_session(): ...\n"},
    "SSOT201": {"shop/export/csv.py": "def write(rows): ...\n"},
    "SSOT202": {"shop/orders.py": "class Order: ...\n", "shop/status.py": "class OrderStatus: ...\n"},
    "SSOT203": {"shop/limits.py": "class RateLimiter: ...\n", "shop/security/__init__.py": ""},
    "SSOT204": {"shop/orders.py": "class Order: ...\n", "shop/invoices.py": "from shop.orders import Order\n" * 9},
    "SSOT205": {"backend/shop/orders.py": "class Order: ...\n", "backend/__init__.py": None},
    "SSOT206": {"pyproject.toml": '[project]\nname = "shop"\ndependencies = ["redis"]\n'},
    "SSOT303": {
        "shop/sessions.py": "class Session:\n    pending = 0\n    def flush(self): ...\n    def roll_back(self): ...\n"
    },
    "SSOT304": {"app/sessions.py": SESSIONS, "app/workers.py": WORKERS},
    "SSOT401": {f"app/{name}.py": "from app.pool import get_pool\n\nget_pool()\n" for name in ("one", "two")},
    "SSOT402": {"app/pools.py": "class Pool: ...\n"},
    "SSOT501": {"shop/orders.py": "class Order: ...\n", "shop/web.py": "", "shop/ids.py": ""},
    "SSOT502": {"shop/payments.py": "def charge(amount): ...\n"},
    "SSOT503": {"shop/plugins/loyalty.py": "points = 1\n", "shop/accounts.py": "points = 1\n"},
    "SSOT903": {"shop/clock.py": "class Clock: ...\n"},
}

SETTINGS: dict[str, dict[str, Any]] = {"SSOT702": {"max-function-lines": [10, 300]}}
"""A page shows less than a hundred lines."""


def page(rule: str) -> str:
    return (PAGES / f"{rule}.md").read_text("utf-8")


def section(rule: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page(rule), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def example(rule: str, title: str) -> dict[str, str | None]:
    """The files that a section shows; None for one that is gone."""
    files: dict[str, str | None] = {}
    for block in re.findall(r"```python\n(.*?)```", section(rule, title), re.DOTALL):
        before, *rest = FILE.split(block)
        assert not before.strip(), f"{rule}: a block begins with `# path.py`"
        for path, gone, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            files[path] = None if gone else text
    return files


def configuration(rule: str) -> dict[str, Any]:
    found: dict[str, Any] = {"select": [rule], **SETTINGS.get(rule, {})}
    for block in re.findall(r"```toml\n(.*?)```", section(rule, "Configuration"), re.DOTALL):
        found |= tomllib.loads(block)["tool"]["ssot"]
    return found


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    assert {each.stem for each in PAGES.glob("SSOT*.md")} == set(table())


@pytest.mark.parametrize("rule", table())
def test_a_page_says_what_why_how_to_mend_it_and_when_not_to(rule: str) -> None:
    text = page(rule)
    assert text.startswith(f"# {rule} {table()[rule].name}\n\n**What.** ")
    assert "\n\n**Why.** " in text
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    wanted = ["Bad", "Good", "How to mend it", "When not to"]
    assert [each for each in titles if each in wanted] == wanted
    assert all(section(rule, each).strip() for each in titles)


@pytest.mark.parametrize("rule", sorted(set(table()) - LISTINGS))
def test_what_a_page_calls_bad_is_found_and_what_it_calls_good_is_not(rule: str, tmp_path: Path) -> None:
    bad, good = example(rule, "Bad"), example(rule, "Good")
    assert bad
    assert good
    for name, shown in (("bad", bad), ("good", {**bad, **good})):
        files = {**AROUND.get(rule, {}), **shown}
        packages = {f"{each}/__init__.py": "" for path in files if files[path] for each in Path(path).parents[:-1]}
        there = {path: text for path, text in {**packages, **files}.items() if text is not None}
        report = check(tmp_path / name, there, configuration(rule))
        found = {(each.rule, each.severity) for each in report.findings}
        assert found == ({(rule, table()[rule].severity)} if name == "bad" else set()), name
