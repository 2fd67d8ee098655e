"""What `--fix` does about each rule that has a fix: the finding goes, everything parses, nothing else moves."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from netra.compliance.check import run
from netra.compliance.config import Config, parse
from netra.compliance.fixes import mend
from netra.compliance.outcome import Outcome
from netra.compliance.proposals import BY_RULE
from netra.compliance.rule import table
from support.code_base import write

APP = {
    "app/__init__.py": "",
    "app/home.py": "# The home.\nclass Order:\n    number = 1\n\n    def pay(self):\n        return self.number\n",
}
USERS = {f"app/user{number}.py": "from app.home import Order\n\nprint(Order)\n" for number in range(3)}
Change = tuple[str, str]
"""What a file says afterwards: a part of the text before, and what stands in its place."""


def mended(root: Path, files: Mapping[str, str], rule: str, config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Write a code base, mend a rule's findings, and make sure of what always holds.

    Returns:
        What was told, and the rule's findings that are left.
    """
    write(root, files)
    settings: Config = parse({"select": [rule], **config})

    def look() -> Outcome:
        report = run(root, settings)
        return Outcome(report, report.findings)

    before = look()
    assert [each.rule for each in before.report.findings] != []
    told, after = mend(before, look, unsafe=True)
    texts = {path: path.read_bytes() for path in root.rglob("*.py")}
    for path, text in texts.items():
        ast.parse(text, str(path))
    again, _ = mend(after, look, unsafe=True)
    assert {path: path.read_bytes() for path in texts} == texts, again
    return told, [each.rule for each in after.report.findings]


CASES: list[Any] = [
    pytest.param(
        "SSOT202",
        {
            **APP,
            "app/old.py": "",
            "app/b.py": 'x = "é"  # kept\nfrom app.old import Order  # and this\n\nprint( Order )\n',
        },
        {"app/b.py": ("from app.old import", "from app.home import")},
        id="202: a name that moved",
    ),
    pytest.param(
        "SSOT202",
        {
            **APP,
            "app/old.py": "def other():\n    return 1\n",
            "app/b.py": "def f():\n    from app.old import other, Order as O  # why\n    return O, other\n",
        },
        {
            "app/b.py": (
                "from app.old import other, Order as O",
                "from app.home import Order as O\n    from app.old import other",
            )
        },
        id="202: beside a name that did not move",
    ),
    pytest.param(
        "SSOT202",
        {
            **APP,
            "app/old.py": "def other():\n    return 1\n",
            "app/b.py": "from app.old import (\n    other,\n    Order,\n)\n\nprint(Order, other)\n",
        },
        {
            "app/b.py": (
                "from app.old import (\n    other,\n    Order,\n)\n",
                "from app.home import Order\nfrom app.old import other\n",
            )
        },
        id="202: in a statement of several lines",
    ),
    pytest.param(
        "SSOT204",
        {**APP, "app/b.py": "if True:\n\tfrom . import home  # odd\n\tfrom .home import (  # kept\n\t\tOrder,\n\t)\n"},
        {
            "app/b.py": (
                "from . import home  # odd\n\tfrom .home import (",
                "from app import home  # odd\n\tfrom app.home import (",
            )
        },
        id="204: relative imports",
    ),
    pytest.param(
        "SSOT401",
        {
            **APP,
            "app/pool.py": "class Pool:\n    def __init__(self):\n        self.all = []\n\n\n_pool = None\n\n\n"
            "def get_pool():\n    global _pool\n    if _pool is None:\n        _pool = Pool()\n    return _pool\n",
            **{
                f"app/u{n}.py": "from app.pool import get_pool\n\n\ndef f():\n    return get_pool()\n" for n in range(3)
            },
            "app/b.py": "from app.pool import Pool  # why\n\n\ndef work( a ):\n    p = Pool()  # mine\n    return p\n",
        },
        {
            "app/b.py": (
                "Pool  # why\n\n\ndef work( a ):\n    p = Pool()",
                "Pool  # why\nfrom app.pool import get_pool\n\n\ndef work( a ):\n    p = get_pool()",
            )
        },
        id="401: a class that has a factory",
    ),
    pytest.param(
        "SSOT102",
        {
            **APP,
            **USERS,
            "app/copy.py": APP["app/home.py"].replace("# The home.\n", "import os\n\n\n") + "\n\nx = Order\n",
            "app/uses.py": "from app.copy import Order\n\nprint(Order)\n",
        },
        {
            "app/copy.py": (
                "class Order:\n    number = 1\n\n    def pay(self):\n        return self.number\n",
                "from app.home import Order\n",
            )
        },
        id="102: a copy of a class",
    ),
    pytest.param(
        "SSOT122",
        {
            **APP,
            **USERS,
            "app/compat.py": "from app import home  # kept\n\n\nclass Order(home.Order):\n    pass\n\n\nx = 1\n",
        },
        {"app/compat.py": ("class Order(home.Order):\n    pass\n", "Order = home.Order\n")},
        id="122: an empty subclass",
    ),
    pytest.param(
        "SSOT121",
        {
            **APP,
            **USERS,
            "app/compat.py": "from app.home import Order as _Order\n\n\nclass Order(_Order): ...\n",
            "app/uses.py": "from app.compat import Order\n\nprint(Order)\n",
        },
        {"app/compat.py": ("class Order(_Order): ...\n", "Order = _Order\n")},
        id="121: an empty subclass that others import",
    ),
    pytest.param(
        "SSOT131",
        {
            **APP,
            **USERS,
            "app/shim.py": "from app.home import Order\n\n\ndef own():\n    return Order\n",
            "app/b.py": "from app.shim import Order, own  # both\n\nprint( Order, own )\n",
            "app/c.py": "from app.shim import (  # one\n    Order as O,\n)\n\nprint(O)\n",
        },
        {
            "app/b.py": ("from app.shim import Order, own", "from app.home import Order\nfrom app.shim import own"),
            "app/c.py": ("from app.shim import", "from app.home import"),
        },
        id="131: other import paths",
    ),
]


@pytest.mark.parametrize(("rule", "files", "changes"), CASES)
def test_a_fix_mends_its_finding_and_touches_nothing_else(
    tmp_path: Path, rule: str, files: dict[str, str], changes: dict[str, Change]
) -> None:
    told, left = mended(tmp_path, files, rule, {})
    for path, text in files.items():
        old, new = changes.get(path, ("", ""))
        assert old in text
        assert (tmp_path / path).read_text() == text.replace(old, new, 1), path
    assert left == []
    assert "not mended" not in told


def test_importers_of_a_shim_take_names_from_their_homes(tmp_path: Path) -> None:
    files = {
        **APP,
        "app/shim.py": "from app.home import Order\nfrom app.more import LIMIT as MOST\n\n__all__ = ['MOST']\n",
        "app/more.py": "LIMIT = 3\n",
        "app/b.py": "from app.shim import Order, MOST\n\nprint(Order, MOST)\n",
    }
    mended(tmp_path, files, "SSOT132", {})
    expected = "from app.home import Order\nfrom app.more import LIMIT as MOST\n\nprint(Order, MOST)\n"
    assert (tmp_path / "app/b.py").read_text() == expected


REFUSED: list[Any] = [
    pytest.param(
        "SSOT202",
        {
            **APP,
            "app/more.py": "class Order:\n    other = 1\n",
            "app/old.py": "",
            "app/b.py": "from app.old import Order\n",
        },
        "0 findings mended",
        id="two homes",
    ),
    pytest.param(
        "SSOT202",
        {
            "app/__init__.py": "",
            "app/home.py": "from app import b\n\n\nclass Order:\n    b = b\n",
            "app/old.py": "",
            "app/b.py": "from app.old import Order\n",
        },
        "close a circle",
        id="a circle",
    ),
    pytest.param(
        "SSOT202",
        {
            **APP,
            "app/old.py": "x = 1\n",
            "app/b.py": "from app.old import (\n    x,  # the unknown\n    Order,\n)\n",
        },
        "'# the unknown' would be lost",
        id="a comment in the statement",
    ),
    pytest.param(
        "SSOT202",
        {**APP, "app/old.py": "x = 1\n", "app/b.py": "from app.old import (x,\n    Order); y = 1\n"},
        "would take another statement with it",
        id="two statements on a line",
    ),
    pytest.param(
        "SSOT202",
        {**APP, "app/old.py": "x = 1\n", "app/b.py": "from app.old import x, Order as Order\n"},
        "is not written as expected",
        id="an alias that is none",
    ),
    pytest.param(
        "SSOT202",
        {**APP, "app/old.py": "", "app/b.py": "from  app.old  import Order\n"},
        "is not written as expected",
        id="unusual spelling",
    ),
    pytest.param(
        "SSOT102",
        {
            **APP,
            "app/home.py": "class Order:\n    all = []\n\n    def pay(self):\n        return self.all\n",
            **USERS,
            "app/copy.py": "class Order:\n    all = []\n\n    def pay(self):\n        return self.all\n",
            "app/uses.py": "from app.copy import Order\n\nprint(Order)\n",
        },
        "0 findings mended",
        id="state of its own",
    ),
]


@pytest.mark.parametrize(("rule", "files", "said"), REFUSED)
def test_where_it_is_unsure_it_changes_nothing(tmp_path: Path, rule: str, files: dict[str, str], said: str) -> None:
    told, left = mended(tmp_path, files, rule, {})
    assert said in told
    assert {path: (tmp_path / path).read_text() for path in files} == files
    assert left


def test_the_list_of_rules_says_which_of_them_can_be_mended() -> None:
    told = {rule.id for rule in table().values() if rule.fix == "auto"}
    assert told == {*BY_RULE, "SSOT204", "SSOT902", "SSOT903"}
