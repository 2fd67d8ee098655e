"""Each format, read by a real parser of it: nothing is lost, and no name or message can break out of its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

import jsonschema_rs
import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from netra.compliance.baseline import compare, made_of
from netra.compliance.outcome import Outcome, Report, Waived
from netra.compliance.report import FORMATS, renderer
from netra.compliance.report.text import as_text, block, clean
from netra.compliance.rule import Edit, Finding, Fix, Place, Severity
from support.checking import TWINS
from support.code_base import check

DATA = Path(__file__).parents[2] / "data"
NASTY = 'a "b" <c> & %d `e` | f: g, h\n::error::i\r\x1b[31m\x00 ]]> </script> ``` é \u202e \udcff'
"""What a message or a path could hold to leave its place in some format."""


def outcome(tmp_path: Path, *extra: Finding, **changes: Any) -> Outcome:
    report: Report = check(tmp_path, TWINS)
    report = replace(report, findings=(*report.findings, *extra))
    return Outcome(report, report.findings, **changes)


def nasty() -> Finding:
    edit = Edit("shop/orders.py", 1, 1, "x = 1\n")
    return Finding(
        "SSOT901", Severity.WARNING, Place(f"shop/{NASTY}.py", 3), NASTY, (NASTY,),
        related=(Place(f"shop/{NASTY}.py", 9, NASTY),), details=(NASTY, "````"), hint=NASTY,
        fix=Fix("mend it", (edit,)),
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_written_as_utf_8_and_ends_with_a_line_feed(tmp_path: Path, name: str) -> None:
    text = renderer(name)(outcome(tmp_path, nasty(), explain=True, statistics=True))
    assert text.encode("utf-8").endswith(b"\n")


def test_json_has_everything_the_text_has(tmp_path: Path) -> None:
    shown = outcome(tmp_path, nasty())
    document = json.loads(renderer("json")(shown))
    assert [each["rule"] for each in document["findings"]] == [each.rule for each in shown.shown]
    assert document["score"] == shown.report.score.value
    assert document["coverage"]["parsed"] == 4
    assert document["counts"]["error"] >= 1
    assert {each["id"] for each in document["rules"]} >= {"SSOT101", "SSOT303", "SSOT901"}
    wrong = next(each for each in document["findings"] if each["rule"] == "SSOT303")
    assert (wrong["path"], wrong["line"]) == ("shop/report.py", 8)
    assert re.fullmatch("[0-9a-f]{16}", wrong["fingerprint"])


def test_services_that_were_found_are_told(tmp_path: Path) -> None:
    files = {f"{name}/{file}": "" for name in "abcdefghij" for file in ("Dockerfile", "main.py")}
    report = check(tmp_path, files)
    assert "by their manifests: a, b, c, d, e, f, g, h and 2 more." in as_text(Outcome(report, ()))
    assert json.loads(renderer("json")(Outcome(report, ())))["services"] == [*"abcdefghij"]
    configured = check(tmp_path, {}, {"services": ["a"]})
    assert "manifests" not in as_text(Outcome(configured, ()))
    assert json.loads(renderer("json")(Outcome(configured, ())))["services"] == ["a"]


def test_jsonl_is_a_line_for_each_finding_and_a_summary(tmp_path: Path) -> None:
    shown = outcome(tmp_path, nasty())
    rows = [json.loads(line) for line in renderer("jsonl")(shown).splitlines()]
    assert [row["kind"] for row in rows] == [*["finding"] * len(shown.shown), "summary"]


def test_what_is_allowed_is_in_formats_for_programs_with_its_reason(tmp_path: Path) -> None:
    shown = outcome(tmp_path)
    waived = replace(shown, report=replace(shown.report, waived=(Waived(nasty(), NASTY),)))
    (found,) = json.loads(renderer("json")(waived))["waived"]
    assert (found["rule"], found["line"], found["fingerprint"]) == ("SSOT901", 3, nasty().fingerprint)
    assert found["reason"] == NASTY.encode("utf-8", "backslashreplace").decode()
    rows = [json.loads(line) for line in renderer("jsonl")(waived).splitlines()]
    assert [row for row in rows if row["kind"] == "waived"] == [{"kind": "waived", **found}]


def test_a_limit_is_told_by_every_format_that_has_a_place_for_it(tmp_path: Path) -> None:
    cut = outcome(tmp_path, nasty(), most=1)
    left = len(cut.shown) - 1
    assert json.loads(renderer("json")(cut))["left_out"] == left
    for name in ("text", "github", "markdown", "junit", "html"):
        assert re.search(rf"{left} more|left_out\" value=\"{left}", renderer(name)(cut)), name


def test_text_of_a_code_base_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    text = as_text(outcome(tmp_path, nasty()))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert "\\x1b[31m" in text
    coloured = as_text(outcome(tmp_path, nasty()), colour=True)
    assert "\x1b[33mwarning SSOT901\x1b[0m" in coloured
    assert clean("né") == "né"


def test_sarif_points_to_files_with_stable_fingerprints(tmp_path: Path) -> None:
    found = nasty()
    shown = outcome(tmp_path, found, found)
    document = json.loads(renderer("sarif")(shown))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"].endswith("/")
    for result, finding in zip(run["results"], shown.shown, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        location = result["locations"][0]["physicalLocation"]
        assert location["region"]["startLine"] >= 1
        assert location["artifactLocation"]["uriBaseId"] == "SRCROOT"
        uri = location["artifactLocation"]["uri"]
        assert unquote(uri, errors="surrogateescape") == finding.place.path
        assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", uri)
    last, before = run["results"][-1], run["results"][-2]
    assert last["partialFingerprints"] != before["partialFingerprints"]  # counted, so that neither hides the other
    assert last["relatedLocations"][0]["id"] == 1
    (change,) = last["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["deletedRegion"] == {
        "startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 1,
    }  # fmt: skip


def test_sarif_is_valid_by_its_schema(tmp_path: Path) -> None:
    text = (DATA / "sarif/sarif-2.1.0-rtm.5.json").read_text("utf-8")
    schema = json.loads(text.replace("{2}]?$", "{2}$"))  # a bracket too many in the pattern of languages
    validator = jsonschema_rs.Draft4Validator(schema, validate_formats=True)

    report = check(tmp_path, {**TWINS, "shop/again.py": TWINS["shop/orders.py"], "shop/odd name?#.py": "class A: pass"})
    report = replace(report, findings=(*report.findings, nasty()), unreadable=((NASTY, NASTY),))
    comparison = compare(report.findings, made_of(report.findings[:2]), rules=[], is_checked=[], root=tmp_path)
    clean = Outcome(replace(report, findings=(), unreadable=()), ())
    for each in (clean, Outcome(report, report.findings), Outcome(report, report.findings, comparison, ("fails",))):
        document = json.loads(renderer("sarif")(each))
        assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document)] == []
    results = document["runs"][0]["results"]
    assert {"fixes", "relatedLocations", "baselineState", "ruleIndex"} <= {key for each in results for key in each}
    results[0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not validator.is_valid(document)


def test_sarif_says_what_is_new(tmp_path: Path) -> None:
    report = check(tmp_path, TWINS)
    known = made_of(report.findings[:1])
    comparison = compare(report.findings, known, rules=[], is_checked=[], root=tmp_path)
    run = json.loads(renderer("sarif")(Outcome(report, report.findings, comparison)))["runs"][0]
    states = [each["baselineState"] for each in run["results"]]
    assert (states[0], set(states[1:])) == ("unchanged", {"new"})


def test_github_commands_hold_one_line_each_and_escape_their_values(tmp_path: Path) -> None:
    shown = outcome(tmp_path, nasty())
    lines = renderer("github")(shown).splitlines()
    commands = [line for line in lines if line.startswith("::")]
    assert len(commands) == len(shown.shown)
    pattern = re.compile(r"::(error|warning|notice) file=([^:,]+),line=(\d+),title=([^:,]+)::(.*)")
    read = [pattern.fullmatch(line) for line in commands]
    assert all(read)
    last = read[-1]
    assert last is not None
    assert "::error::i" in last.group(5)  # within the message, where it starts no command
    assert "%0A" in last.group(5)


def test_gitlab_gets_unique_fingerprints(tmp_path: Path) -> None:
    found = nasty()
    rows = json.loads(renderer("gitlab")(outcome(tmp_path, found, found)))
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    assert {row["severity"] for row in rows} <= {"info", "minor", "major", "critical", "blocker"}
    assert all(row["location"]["lines"]["begin"] >= 1 and row["description"] for row in rows)


def test_junit_fails_the_rules_that_find_something(tmp_path: Path) -> None:
    suites = ElementTree.fromstring(renderer("junit")(outcome(tmp_path, nasty())))
    (suite,) = suites
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(cases)
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure")) >= 2
    by_name = {(case.get("classname", "").split()[0], case.get("name")): case for case in cases}
    assert by_name["SSOT303", "shop/report.py"].find("failure") is not None
    assert by_name["SSOT302", "nothing found"].find("failure") is None


def test_markdown_shows_messages_as_they_are(tmp_path: Path) -> None:
    html = MarkdownIt("commonmark").enable("table").render(renderer("markdown")(outcome(tmp_path, nasty())))
    assert "<c>" not in html
    assert "</script>" not in html
    assert "&lt;c&gt; &amp; %d `e` | f: g, h" in html
    assert "<h2>One source of truth: " in html
    assert html.count("<table>") == 2


def test_text_names_each_place_of_a_finding_once(tmp_path: Path) -> None:
    shown = outcome(tmp_path)
    twins = next(each for each in shown.shown if each.rule == "SSOT101")
    text = block(twins, shown)
    for place in (twins.place, *twins.related):
        assert text.count(f"{place.path}:{place.line}") == 1


def test_text_does_not_repeat_what_the_finding_above_said(tmp_path: Path) -> None:
    long = [
        Finding("SSOT702", Severity.WARNING, Place(f"shop/{name}.py", 1), f"`{name}` is long.", (name,), hint="Cut it.")
        for name in "ab"
    ]
    report = replace(check(tmp_path, {"a.py": "x = 1\n"}), findings=tuple(long))
    assert as_text(Outcome(report, report.findings)).startswith(
        "shop/a.py:1: warning SSOT702 function-too-long\n  `a` is long.\n  fix: Cut it.\n"
        "shop/b.py:1: warning SSOT702 function-too-long\n  `b` is long.\n\n"
    )


def test_text_says_once_what_findings_about_one_thing_have_in_common(tmp_path: Path) -> None:
    reads = tuple(
        Finding(
            "SSOT301", Severity.ERROR, Place("a.py", line, "in f"), f"no {line}", (str(line),),
            related=(Place("b.py", 1, "held"),), details=("B has x",), hint="Define it.",
        )
        for line in (3, 4)
    )  # fmt: skip
    report = replace(check(tmp_path, {"a.py": "x = 1\n"}), findings=reads)
    text = as_text(Outcome(report, report.findings))
    assert [text.count(each) for each in ("b.py:1", "B has x", "fix: Define it.", "no 3", "no 4")] == [1] * 5
    other = replace(reads[1], details=("C has y",))
    assert as_text(Outcome(report, (reads[0], other))).count("b.py:1") == 2


def test_text_names_the_modules_to_begin_with(tmp_path: Path) -> None:
    files = {f"m{at}.py": "x = 1\n" for at in range(60)}
    found = [Finding("SSOT701", Severity.WARNING, Place(f"m{at}.py", 1), "long", (str(at),)) for at in range(60)]
    found += [Finding("SSOT702", Severity.ERROR, Place("m7.py", 1), "long", (f"f{at}",)) for at in range(2)]
    report = replace(check(tmp_path, files), findings=tuple(found))
    text = as_text(Outcome(report, report.findings, failures=("2 findings of severity error",)))
    assert "Begin where it costs most: m7.py (3 findings), m0.py (1 finding), m1.py (1 finding).\n" in text


def test_a_path_in_a_github_command_holds_no_control_character(tmp_path: Path) -> None:
    assert "\x1b" not in renderer("github")(outcome(tmp_path, nasty()))


def test_junit_does_not_say_that_a_rule_finds_nothing_whose_findings_are_not_printed(tmp_path: Path) -> None:
    cut = outcome(tmp_path, nasty(), most=1)
    quiet = re.findall(r'classname="(\w+) [^"]*" name="nothing found"', renderer("junit")(cut))
    assert not {each.rule for each in cut.shown} & set(quiet)
    assert "SSOT302" in quiet


@pytest.mark.parametrize("name", ["text", "markdown", "html", "github", "sarif", "json", "junit"])
def test_who_uses_which_definition_is_in_every_format_with_room_for_it(tmp_path: Path, name: str) -> None:
    shown = outcome(tmp_path)
    twins = next(each for each in shown.shown if each.rule == "SSOT101")
    text = unescape(renderer(name)(replace(shown, shown=(twins,)))).replace("\\", "")
    assert twins.related[0].note in text
    assert twins.place.note in text


def test_text_says_what_to_do_with_many_findings_until_a_baseline_knows_them(tmp_path: Path) -> None:
    report = check(tmp_path, {"a.py": "x = 1\n"})
    many = tuple(Finding("SSOT701", Severity.ERROR, Place(f"{at}.py", 1), "long", (str(at),)) for at in range(51))
    failing = Outcome(report, many, failures=("51 findings of severity error",))
    assert "netra ssot baseline write" in as_text(failing)
    assert "netra ssot baseline write" not in as_text(replace(failing, shown=many[:9]))
    known = compare(many, made_of(many), rules=[], is_checked=[], root=tmp_path)
    assert "netra ssot baseline write" not in as_text(replace(failing, comparison=known))
