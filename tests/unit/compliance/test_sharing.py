"""What a check finds out once: for copies of a file, for all rules that look at files, for names with several rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netra.compliance.check import run
from netra.compliance.config import load
from netra.compliance.facts import FileFacts
from netra.compliance.glance import function_count, glance
from netra.compliance.memory import Memory
from netra.compliance.project import File, Project
from netra.compliance.source import make


def facts_of(tmp_path: Path, text: str) -> FileFacts:
    path = tmp_path / "text.py"
    path.write_text(text, "utf-8")
    return make(str(path))[1]


looked: list[int] = []


@glance("functions")
def names(facts: FileFacts) -> tuple[str, ...]:
    """For the test below; every other check of the process makes it too."""
    looked.append(id(facts))
    return tuple(row.name for row in facts.functions)


def test_copies_of_a_file_are_glanced_at_once(tmp_path: Path) -> None:
    facts, other = facts_of(tmp_path, "def one(): ...\n"), facts_of(tmp_path, "def two(): ...\ndef three(): ...\n")
    project = Project([("a/x.py", facts), ("b/x.py", facts), ("c/x.py", other)])
    looked.clear()
    assert [names(file) for file in project.files] == [("one",), ("one",), ("two", "three")]
    assert [function_count(file) for file in project.files] == [1, 1, 2]
    assert looked == [id(facts), id(other)]


def test_looks_that_are_expected_are_made_file_by_file_and_told_in_the_order_of_the_files(tmp_path: Path) -> None:
    facts, other = facts_of(tmp_path, "x = 1\n"), facts_of(tmp_path, "y = 1\n")
    project = Project([("a.py", facts), ("b.py", other), ("c.py", facts)])
    order: list[str] = []

    def first(project: Project, file: File) -> str:
        order.append(f"first {file.path}")
        return file.path

    def second(project: Project, file: File) -> str:
        order.append(f"second {file.path}")
        return file.path.upper()

    project.expect([first, second])
    assert [value for _, value in project.by_file(second)] == ["A.PY", "B.PY", "C.PY"]
    copies_together = ["a.py", "c.py", "b.py"]
    assert order == [f"{look} {path}" for path in copies_together for look in ("first", "second")]


def test_a_table_tells_one_row_of_a_name_and_several(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, "def f(): ...\n")
    project = Project([(name, facts) for name in ("a.py", "b.py", "c.py")], memory=Memory())

    def rows(file: File) -> Iterator[tuple[str, int]]:
        yield "all", len(file.path)
        yield "all", 0
        if file.path == "b.py":
            yield "b", 1

    a, b, c = project.files
    table = project.table(rows)
    assert [*table.get("all")] == [(a, 4), (a, 0), (b, 4), (b, 0), (c, 4), (c, 0)]
    assert len(table.get("all")) == 6
    assert [*table.get("b")] == [(b, 1)]
    assert [*table.get("none")] == []
    assert [[*each] for each in table.shared()] == [[*table.get("all")]]
    project.done(rows)
    assert project.table(rows) is not table


def test_names_that_go_round_in_a_circle_are_unknown_from_every_side(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ssot]\n", "utf-8")
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.py").write_text(f"from {other} import Thing\n", "utf-8")
    (tmp_path / "d.py").write_text("class Other: ...\nfrom a import Thing\n", "utf-8")
    project = run(tmp_path, load(tmp_path)).project
    for path in ("a.py", "b.py", "c.py", "d.py", "a.py"):
        assert project.member(project.by_path[path], "Thing").symbol.kind == "unknown"
    assert project.member(project.by_path["d.py"], "Other").symbol.kind == "class"
