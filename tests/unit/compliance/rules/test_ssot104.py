"""SSOT104: one class for each of several services that are deployed apart."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT10"]}
SERVICES = {**ONLY, "services": ["billing", "shipping"]}
ORDER = "class OrderLine:\n    def __init__(self):\n        self.number = 1\n        self.amount = 2\n"
TREE = {
    "billing/__init__.py": "",
    "billing/orders.py": ORDER,
    "billing/use.py": "from billing.orders import OrderLine\n",
    "shipping/__init__.py": "",
    "shipping/orders.py": ORDER + "        self.weight = 3\n",
    "shipping/use.py": "from shipping.orders import OrderLine\n",
}


def test_services_that_each_have_one_are_a_remark_and_no_error(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, SERVICES), "SSOT104")
    assert finding.severity is Severity.INFO
    assert "2 services" in finding.message


def test_packages_that_do_not_import_each_other_are_deployed_apart(tmp_path: Path) -> None:
    assert ids(check(tmp_path, TREE, ONLY)) == ["SSOT104"]


def test_packages_that_import_each_other_are_deployed_together(tmp_path: Path) -> None:
    files = {**TREE, "shipping/bill.py": "from billing import use\nfrom billing.orders import OrderLine\n"}
    assert ids(check(tmp_path / "a", files, ONLY)) == ["SSOT101"]
    assert ids(check(tmp_path / "b", files, SERVICES)) == ["SSOT104"]


def test_two_in_one_service_are_the_worse_finding(tmp_path: Path) -> None:
    files = {
        **TREE,
        "billing/more.py": ORDER + "        self.tax = 3\n",
        "billing/both.py": "from billing.more import OrderLine\n",
    }
    assert sorted(ids(check(tmp_path, files, SERVICES))) == ["SSOT101", "SSOT104"]


def test_services_with_something_else_of_the_name_are_left_alone(tmp_path: Path) -> None:
    files = {**TREE, "shipping/orders.py": "class OrderLine:\n    def walk(self): ...\n    def fly(self): ...\n"}
    assert ids(check(tmp_path, files, SERVICES)) == []


def test_a_name_that_may_be_defined_twice_is_left_alone(tmp_path: Path) -> None:
    config = {**SERVICES, "allow-duplicate": [{"name": "OrderLine", "reason": "each service has its own view"}]}
    assert ids(check(tmp_path, TREE, config)) == []


def test_the_fingerprint_is_that_of_the_definitions(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, SERVICES), "SSOT104").fingerprint
    longer = {name: f"x = 1\n\n\n{text}" for name, text in TREE.items()}
    assert one(check(tmp_path / "b", longer, SERVICES), "SSOT104").fingerprint == before
    renamed = {name: text.replace("OrderLine", "OrderItem") for name, text in TREE.items()}
    assert one(check(tmp_path / "c", renamed, SERVICES), "SSOT104").fingerprint != before
