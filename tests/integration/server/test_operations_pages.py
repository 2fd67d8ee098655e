"""What the dashboard shows beside live figures: the checker's report of this version, and the weekly report."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from support.accounts import Account, register, set_up_admin
from support.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"NETRA_ALLOW_REGISTRATION": "true"}
    with ServerProcess(
        tmp_path_factory.mktemp("pages"), agents=["support.agents:echo"], environment=environment
    ) as process:
        yield process


@pytest.fixture(scope="module")
def admin(server: ServerProcess) -> Account:
    return set_up_admin(server)


def test_the_report_of_the_checker_came_with_the_package(admin: Account) -> None:
    with admin.client() as client:
        found = client.get("/api/admin/compliance").raise_for_status().json()
        report = client.get("/api/admin/compliance/report").raise_for_status()
    check = found["check"]
    assert check["version"] == found["version"]
    assert datetime.fromisoformat(check["made_at"]) < datetime.now(UTC)
    assert check["scopes"].keys() >= {"core"}
    assert 0 <= check["score"] <= 100
    rules = {rule["id"]: rule for rule in check["rules"]}
    assert rules["SSOT101"]["severity"] == "error"
    assert rules["SSOT101"]["exposure"] > 100
    assert rules["SSOT101"]["result"] == "waived"  # by allow-duplicate in pyproject.toml
    waived = next(each for each in check["waived"] if each["rule"] == "SSOT101")
    assert "what the protocol shows" in waived["reason"]
    (run,) = check["runs"]
    assert (run["score"], run["waived"]) == (check["score"], len(check["waived"]))
    assert waived["since"] == run["since"]
    assert check["change"] is None
    assert "netra-check.json" in report.headers["content-disposition"]
    assert report.json()["rules"][0]["id"] == check["rules"][0]["id"]


def test_the_weekly_report_is_a_page_whose_only_style_is_allowed(admin: Account) -> None:
    with admin.client() as client:
        page = client.get("/ops/report").raise_for_status()
    assert page.headers["content-type"].startswith("text/html")
    (style,) = re.findall("<style>(.*?)</style>", page.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert re.search(r"Compliance score</th><td[^>]*>\d+\.\d", page.text)
    assert " style=" not in page.text


def test_a_day_that_cannot_be_is_refused(admin: Account) -> None:
    with admin.client() as client:
        assert client.get("/ops/report", params={"until": "1969-01-01"}).status_code == 422
        assert client.get("/ops/report", params={"until": "2026-01-01"}).status_code == 200


def test_others_learn_nothing(server: ServerProcess, admin: Account) -> None:
    assert admin.id
    with register(server.base_url).client() as client:
        for path in ("/api/admin/compliance", "/api/admin/compliance/report", "/ops/report"):
            assert client.get(path).status_code == 404
