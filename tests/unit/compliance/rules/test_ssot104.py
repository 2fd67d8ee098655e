"""SSOT104: one class for each of several services that are deployed apart."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def monorepo(manifest: str, text: str = "", above: str = "services/") -> dict[str, str]:
    """Two services in one package, each with a manifest; without these, their classes are twins."""
    files = {f"{above}{name}": code.replace("from ", f"from {above.replace('/', '.')}") for name, code in TREE.items()}
    manifests = {f"{above}{name}/{manifest}": text for name in ("billing", "shipping")}
    return {f"{above}__init__.py": "", **files, **manifests}


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("Dockerfile", "FROM python\n"),
        ("pyproject.toml", "[project]\nname = 'x'\n"),
        ("pyproject.toml", "[tool.poetry]\nname = 'x'\n"),
        ("setup.py", "from setuptools import setup\nsetup()\n"),
    ],
)
def test_services_are_found_by_their_manifests(tmp_path: Path, manifest: str, text: str) -> None:
    report = check(tmp_path, monorepo(manifest, text), ONLY)
    assert ids(report) == ["SSOT104"]
    assert report.services == ("services/billing", "services/shipping")


def test_directories_without_a_manifest_are_parts_of_one_program(tmp_path: Path) -> None:
    assert ids(check(tmp_path, monorepo("README.md"), ONLY)) == ["SSOT101"]


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 99\n"),
        ("requirements.txt", "requests\n"),
        ("setup.py", "def setup():\n    return 1\n"),
    ],
)
def test_what_only_looks_like_a_manifest_is_none(tmp_path: Path, manifest: str, text: str) -> None:
    assert ids(check(tmp_path, monorepo(manifest, text), ONLY)) == ["SSOT101"]


def test_modules_of_one_service_are_deployed_together_without_a_package(tmp_path: Path) -> None:
    files = {"a/requirements.txt": "", "a/one.py": ORDER, "b/requirements.txt": "", "b/two.py": "x = 1\n"}
    files |= {"a/three.py": f"{ORDER}        self.tax = 3\n", "a/use.py": "from one import OrderLine\n"}
    files |= {"a/more.py": "from three import OrderLine\n"}
    report = check(tmp_path, files, ONLY)
    assert report.tree.services == ("a", "b")
    assert ids(report) == ["SSOT101"]


def test_services_that_import_each_other_are_one_program_unless_configured(tmp_path: Path) -> None:
    files = monorepo("Dockerfile")
    files["services/shipping/bill.py"] = "from services.billing import use\n"
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT101"]
    configured = {**ONLY, "services": ["services/billing", "services/shipping"]}
    assert ids(check(tmp_path, files, configured)) == ["SSOT104"]
    assert ids(check(tmp_path, monorepo("Dockerfile"), {**ONLY, "services": []})) == ["SSOT101"]


def test_services_that_one_program_imports_are_that_program_and_tests_are_none(tmp_path: Path) -> None:
    both = "from services.billing import use\nfrom services.shipping import use as other\n"
    assert ids(check(tmp_path, {**monorepo("Dockerfile"), "tests/test_all.py": both}, ONLY)) == ["SSOT104"]
    report = check(tmp_path, {**monorepo("Dockerfile"), "program/main.py": both}, ONLY)
    assert (ids(report), report.services) == (["SSOT101"], ())


def test_what_uses_the_package_it_lies_in_is_a_part_of_it(tmp_path: Path) -> None:
    files = {**monorepo("Dockerfile"), "services/plugins.py": "x = 1\n"}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT104"]
    files["services/billing/plugin.py"] = "from services.plugins import x\n"
    files["services/shipping/plugin.py"] = "from ..plugins import x\n"
    report = check(tmp_path, files, ONLY)
    assert (ids(report), report.services) == (["SSOT101"], ())


@pytest.mark.parametrize("config", [ONLY, {**ONLY, "services": ["services/billing", "services/shipping"]}])
def test_what_a_service_imports_is_deployed_with_it(tmp_path: Path, config: dict[str, list[str]]) -> None:
    files = {**monorepo("Dockerfile"), "common/__init__.py": "", "common/orders.py": ORDER + "        self.vat = 1\n"}
    files |= {"common/use.py": "from common.orders import OrderLine\n"}
    assert ids(check(tmp_path, files, config)) == ["SSOT104"]
    files["services/billing/share.py"] = "from common.orders import OrderLine\n"
    (twins, across) = check(tmp_path, files, config).findings
    assert (twins.rule, across.rule) == ("SSOT101", "SSOT104")
    assert set(twins.paths) == {"services/billing/orders.py", "common/orders.py"}


def test_what_is_shared_is_deployed_with_every_service(tmp_path: Path) -> None:
    files = {**monorepo("Dockerfile"), "common/orders.py": f"{ORDER}        self.vat = 1\n"}
    files |= {"common/use.py": "from orders import OrderLine\n"}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT104"]
    (twins,) = check(tmp_path, files, {**ONLY, "shared": ["common"]}).findings
    assert (twins.rule, len(twins.paths)) == ("SSOT101", 3)


def test_what_holds_services_is_none(tmp_path: Path) -> None:
    files = {**monorepo("Dockerfile"), "services/pyproject.toml": "[project]\nname = 'all'\n"}
    assert check(tmp_path, files, ONLY).tree.services == ("services/billing", "services/shipping")
    alone = {"a/Dockerfile": "", "a/x.py": "x = 1\n", "docs/requirements.txt": "", "docs/conf.py": "y = 1\n"}
    assert check(tmp_path / "alone", alone, ONLY).tree.services == ()


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
