"""The Grafana dashboard and the alert rules of Prometheus ask for metrics and labels that the server has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from netra.monitoring.metrics import metrics
from support.web_proxies import DEPLOY

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
ALWAYS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of buckets."""
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def served() -> dict[str, set[str]]:
    """Every sample's name, with the labels it may have."""
    own = {m._name: set(m._labelnames) for m in vars(metrics).values() if isinstance(m, MetricWrapperBase)}
    names = {
        family.name + suffix: ALWAYS | own.get(family.name, set())
        for family in metrics.registry.collect()
        for suffix in SUFFIXES.get(family.type, ("",))
    }
    names["up"] = set(ALWAYS)  # Prometheus' own
    names["netra_build_info"] |= {"version", "python"}
    return names


def asked(expression: str) -> tuple[set[str], set[str]]:
    """The names of metrics and of labels in an expression of PromQL."""
    labels: set[str] = set()
    rest = re.sub(r'"[^"]*"', '""', expression)
    rest = re.sub(r"\$\w+|\[[^\]]*\]", "", rest)
    for braces in re.findall(r"\{([^}]*)\}", rest):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces))
    rest = re.sub(r"\{[^}]*\}", "", rest)
    for grouping in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", rest):
        labels |= {label.strip() for label in grouping.split(",") if label.strip()}
    rest = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", rest)
    found = {match.group() for match in _NAME.finditer(rest) if not re.match(r"\s*\(", rest[match.end() :])}
    return found - WORDS, labels


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEPLOY / "grafana-dashboard.json").read_text()))


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())["groups"]
    return list(group["rules"])


def expressions() -> Iterator[tuple[str, str]]:
    """Every question of both files, with where it stands."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            question = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            assert question is not None
            yield variable["name"], f"sum by ({question[2]}) ({question[1]})"


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_a_question_asks_for_metrics_and_labels_that_there_are(where: str, expression: str) -> None:
    known = served()
    names, labels = asked(expression)
    assert names, where
    assert names <= set(known), f"{where}: no metric {names - set(known)}"
    allowed = set[str]().union(*(known[name] for name in names))
    assert labels <= allowed, f"{where}: no label {labels - allowed}"


@pytest.mark.parametrize(
    "expression",
    [
        "rate(netra_requests[5m])",
        "sum by (le) (rate(netra_runs_bucket[5m]))",
        "netra_no_such_thing > 1",
        'up == 0 and netra_gone{job="netra"}',
    ],
)
def test_a_metric_that_there_is_not_is_noticed(expression: str) -> None:
    assert not asked(expression)[0] <= set(served())


def test_a_label_that_there_is_not_is_noticed() -> None:
    names, labels = asked('sum by (user) (netra_runs{state="running",shape!~"round"})')
    assert labels == {"user", "state", "shape"}
    assert labels - set[str]().union(*(served()[name] for name in names)) == {"user", "shape"}


def test_every_metric_of_ours_is_on_the_dashboard_or_in_a_rule_or_left_out_on_purpose() -> None:
    used = set[str]().union(*(asked(expression)[0] for _, expression in expressions()))
    left_out = {
        "netra_blocked_constructions",  # for developers
        "netra_breaker_trips",
        "netra_db_checkouts",
        "netra_db_pool_waiting",
        "netra_db_queries",
        "netra_db_sessions_created",
        "netra_stream_sessions_open",
        "netra_user_facts_lost",
        "netra_user_sessions_ended",
    }
    missing = {
        family.name
        for family in metrics.registry.collect()
        if family.name.startswith("netra_") and not any(name.startswith(family.name) for name in used)
    }
    assert missing == left_out


def test_every_rule_says_how_bad_it_is_what_happened_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_panels_have_a_title_a_unit_and_a_place_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]
