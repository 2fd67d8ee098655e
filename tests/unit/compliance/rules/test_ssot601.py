"""SSOT601 stub-in-product: a public function that does no work, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT601"]}


def test_a_function_that_is_called_a_mock_is_one(tmp_path: Path) -> None:
    text = 'def mock_success(request):\n    """This is a mock."""\n    return True\n'
    assert ids(check(tmp_path, {"shop/__init__.py": "", "shop/bank.py": text}, RULE)) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("# This is a placeholder\n    return True", id="a comment"),
        pytest.param('"""Charge. TODO: implement."""', id="a docstring"),
        pytest.param("# for now, just return 0\n    return 0", id="for now"),
        pytest.param('raise NotImplementedError  # "not yet implemented"', id="refuses for now"),
        pytest.param("# in a real implementation, this asks the bank\n    return {}", id="in a real implementation"),
        pytest.param("# stub\n    pass", id="one word"),
    ],
)
def test_a_body_without_work_that_calls_itself_a_placeholder_is_reported(tmp_path: Path, body: str) -> None:
    text = f"import os\n\n\ndef charge(order):\n    {body}\n"
    found = one(check(tmp_path, {"shop/__init__.py": "", "shop/bank.py": text}, RULE), "SSOT601")
    assert (found.place.path, found.place.line, found.severity) == ("shop/bank.py", 4, "warning")
    assert "`charge` does no work, and says so" in found.message


def test_a_method_of_a_concrete_class_is_reported(tmp_path: Path) -> None:
    text = (
        "class Bank:\n    def charge(self, order):\n        # placeholder until the bank answers\n        return None\n"
    )
    assert (
        "`Bank.charge`" in one(check(tmp_path, {"shop/__init__.py": "", "shop/bank.py": text}, RULE), "SSOT601").message
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("shop/bank.py", "def is_open(order):\n    return True\n", id="a constant is an answer"),
        pytest.param("shop/bank.py", "def charge(order):\n    raise NotImplementedError\n", id="a refusal"),
        pytest.param("shop/bank.py", "def on_close(order):\n    pass\n", id="a hook"),
        pytest.param("shop/bank.py", "def charge(order):\n    # placeholder\n    return pay(order)\n", id="it works"),
        pytest.param("shop/bank.py", "def _charge(order):\n    # stub\n    pass\n", id="private"),
        pytest.param(
            "shop/bank.py",
            "def outer():\n    def inner():\n        # stub\n        pass\n    return inner\n",
            id="local",
        ),
        pytest.param(
            "shop/bank.py",
            "from abc import ABC, abstractmethod\n\n\nclass Bank(ABC):\n    @abstractmethod\n    def charge(self):\n"
            "        # stub\n        pass\n",
            id="abstract",
        ),
        pytest.param(
            "shop/bank.py",
            "from typing import Protocol\n\n\nclass Bank(Protocol):\n    def pay(self):\n        # stub\n        ...\n",
            id="a Protocol",
        ),
        pytest.param(
            "shop/bank.py",
            "class Bank:\n    def charge(self):\n        # stub: subclasses pay\n        pass\n",
            id="for subclasses",
        ),
        pytest.param(
            "shop/bank.py", "class NullBank:\n    def charge(self):\n        # stub\n        pass\n", id="on purpose"
        ),
        pytest.param(
            "shop/bank.py",
            "from typing import overload\n\n\n@overload\ndef charge(a: int) -> int:\n    # stub\n    ...\n",
            id="an overload",
        ),
        pytest.param(
            "shop/bank.py",
            "from functools import singledispatch\n\n\n@singledispatch\ndef charge(a):\n    # stub\n    pass\n",
            id="singledispatch",
        ),
        pytest.param(
            "shop/bank.py",
            "try:\n    from bank import charge\nexcept ImportError:\n    def pay(o):\n        # stub\n        pass\n",
            id="a fallback",
        ),
        pytest.param(
            "shop/bank.py",
            "import sys\n\nif sys.platform == 'win32':\n    def charge(order):\n        # stub\n        pass\n",
            id="by platform",
        ),
        pytest.param(
            "shop/bank.py", '"""Nothing."""\n\n\ndef f(o):\n    # dummy implementation\n    return 0\n', id="a dummy"
        ),
        pytest.param("shop/testing/bank.py", "def charge(order):\n    # stub\n    pass\n", id="made for tests"),
        pytest.param("tests/test_bank.py", "def charge(order):\n    # stub\n    pass\n", id="a fake of tests"),
        pytest.param("shop/migrations/0001_a.py", "def downgrade():\n    # stub\n    pass\n", id="a database revision"),
        pytest.param("shop/bank_pb2.py", "def charge(order):\n    # stub\n    pass\n", id="generated"),
    ],
)
def test_is_no_stub_of_the_product(tmp_path: Path, path: str, text: str) -> None:
    assert ids(check(tmp_path, {"shop/__init__.py": "", path: text}, RULE)) == []


BANK = "from shop.base import Bank\n\n\nclass Far({}):\n    def charge(self):\n        # placeholder\n        return\n"


@pytest.mark.parametrize(
    ("base", "text"),
    [
        pytest.param(
            "Bank", "class Bank:\n    def charge(self):\n        raise NotImplementedError\n", id="refused above"
        ),
        pytest.param("Bank", "class Bank:\n    def charge(self):\n        pass\n", id="nothing above"),
        pytest.param("Bank", "from bank import Any\n\n\nclass Bank(Any):\n    pass\n", id="a base out of sight"),
        pytest.param("make()", "", id="a base that is made"),
    ],
)
def test_a_method_that_a_base_demands_is_no_stub(tmp_path: Path, base: str, text: str) -> None:
    files = {"shop/__init__.py": "", "shop/base.py": text, "shop/far.py": BANK.format(base)}
    assert ids(check(tmp_path, files, RULE)) == []


@pytest.mark.parametrize(
    ("base", "text"),
    [
        pytest.param("Bank", "class Bank:\n    def charge(self):\n        return pay(self)\n", id="the work is undone"),
        pytest.param("Bank", "class Bank:\n    def refund(self):\n        pass\n", id="another is demanded"),
        pytest.param("BaseModel", "", id="a base that demands nothing"),
    ],
)
def test_a_method_that_no_base_demands_is_a_stub(tmp_path: Path, base: str, text: str) -> None:
    files = {"shop/__init__.py": "", "shop/base.py": text, "shop/far.py": BANK.format(base)}
    assert one(check(tmp_path, files, RULE), "SSOT601").place.line == 5


def test_a_route_that_calls_itself_a_mock_is_shown_as_one(tmp_path: Path) -> None:
    text = '@router.get("/shape")\ndef shape():\n    """This is a mock endpoint, to show the shape."""\n    return {}\n'
    assert ids(check(tmp_path, {"shop/__init__.py": "", "shop/api.py": text}, RULE)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_function_changes_it(tmp_path: Path) -> None:
    text = "def charge(order):\n    # stub\n    pass\n"

    def fingerprint(name: str, text: str) -> str:
        files = {"shop/__init__.py": "", "shop/bank.py": text}
        return one(check(tmp_path / name, files, RULE), "SSOT601").fingerprint

    first = fingerprint("a", text)
    assert fingerprint("b", "import os\n\n\ndef other():\n    return os\n\n\n" + text.replace("order", "bill")) == first
    assert fingerprint("c", text.replace("charge", "refund")) != first
