"""Facts that are kept: equal to those just made, whatever happened to the cache, and not made twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netra.compliance import cache, pack, pool, store
from netra.compliance.extract import extract
from netra.compliance.facts import FileFacts
from netra.compliance.walk import find

SOURCE = '''
"""A module."""
import os
from .other import Thing as Other

__all__ = ["Session"]
LIMIT = 3

class Session(Base, metaclass=Meta):
    count: int = 0

    def __init__(self, store: Store) -> None:
        self.store = store

    def close(self):
        try:
            return self.store.shut(Other(1, key=2))
        except Exception:
            self.store.log  # ssot: allow[SSOT303] known
'''


def read(root: Path, **options: object) -> dict[str, FileFacts]:
    options = {"cache": Path(".ssot_cache"), "jobs": 1, **options}
    found = cache.read_tree(find(root), lambda what, done, of: None, **options)  # type: ignore[arg-type]
    return {path: pack.whole(facts) for path, facts in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "pkg").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    (root / "pkg/a.py").write_text(SOURCE)
    (root / "pkg/copy.py").write_text(SOURCE)
    (root / "pkg/b.py").write_text("class B: pass\n")
    (root / "pkg/broken.py").write_text("class A: pass\ndef (:\nclass C: pass\n")
    for path in root.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return root


@pytest.fixture
def count_extractions(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    made: list[bytes] = []

    def counted(data: bytes) -> FileFacts:
        made.append(data)
        return extract(data)

    monkeypatch.setattr("netra.compliance.extract.extract", counted)
    return lambda: len(made)


def test_facts_survive_packing() -> None:
    facts = extract(SOURCE.encode())
    assert facts.classes and facts.functions and facts.reads and facts.suppressions
    assert pack.unpack(pack.pack(facts)) == facts


def test_kept_facts_equal_new_ones(tree: Path) -> None:
    expected = {path: extract((tree / path).read_bytes()) for path in find(tree).python}
    assert read(tree) == expected
    assert read(tree) == expected
    assert read(tree, cache=None) == expected


def test_a_second_run_parses_nothing_and_copies_are_parsed_once(
    tree: Path, count_extractions: Callable[[], int]
) -> None:
    read(tree)
    assert count_extractions() == 3
    read(tree)
    assert count_extractions() == 3


def test_a_changed_file_is_read_again_even_when_its_size_and_times_are_the_same(tree: Path) -> None:
    read(tree)
    (tree / "pkg/b.py").write_text("class C: pass\n")
    os.utime(tree / "pkg/b.py", (1_000_000_000, 1_000_000_000))
    assert read(tree)["pkg/b.py"].classes[0].name == "C"


def test_several_processes_find_the_same_as_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        (tree / f"pkg/m{number}.py").write_text(f"{SOURCE}\nclass M{number}: pass\n")
    expected = read(tree, cache=None)
    monkeypatch.setattr(pool, "SMALL_BYTES", 0)
    monkeypatch.setattr(pool, "CHUNK_BYTES", 4096)
    assert read(tree, cache=None, jobs=2) == expected


def test_a_file_its_process_does_not_survive_costs_that_file_only(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mortal(pool._Worker):
        def ask(self, paths: list[str]):  # type: ignore[no-untyped-def]
            for path, answer in zip(paths, super().ask(paths), strict=False):
                if path.endswith("b.py"):
                    self._process.kill()
                    return
                yield answer

    monkeypatch.setattr(pool, "_Worker", Mortal)
    monkeypatch.setattr(pool, "SMALL_BYTES", 0)
    found = read(tree, cache=None, jobs=2)
    assert found["pkg/b.py"].trouble[0].message == "the parser did not survive it"
    assert found["pkg/a.py"] == extract(SOURCE.encode())
    assert found["pkg/broken.py"].classes


@pytest.mark.parametrize("damage", ["cut", "zeros", "flip", "empty", "text"])
def test_a_damaged_cache_only_costs_time(tree: Path, damage: str) -> None:
    expected = read(tree)
    for path in (tree / ".ssot_cache").iterdir():
        if path.name == ".gitignore":
            continue
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(
            {
                "cut": data[:middle],
                "zeros": data[:middle] + bytes(len(data) - middle),
                "flip": data[: middle // 2] + bytes(255 - each for each in data[middle // 2 : middle]) + data[middle:],
                "empty": b"",
                "text": b"not a cache" * 100,
            }[damage]
        )
    assert read(tree) == expected
    assert read(tree) == expected


def test_a_cache_that_cannot_be_written_is_done_without(tree: Path) -> None:
    (tree / ".ssot_cache").write_text("a file, not a directory")
    assert read(tree)["pkg/b.py"].classes


def test_the_cache_is_ignored_by_git_and_stays_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_SEGMENTS", 3)
    for number in range(12):
        (tree / "pkg/b.py").write_text(f"class B{number}: pass\n")
        assert read(tree)["pkg/b.py"].classes[0].name == f"B{number}"
    kept = list((tree / ".ssot_cache").glob("*.segment"))
    assert len(kept) <= 4
    assert (tree / ".ssot_cache/.gitignore").read_text() == "*\n"


def test_a_segment_another_process_has_merged_can_still_be_read(tree: Path) -> None:
    read(tree)
    found = cache.read_tree(find(tree), lambda what, done, of: None, cache=Path(".ssot_cache"), jobs=1)
    for path in (tree / ".ssot_cache").glob("*.segment"):
        path.unlink()
    assert {path: pack.whole(facts) for path, facts in found} == read(tree, cache=None)


def test_tables_that_are_walked_through_once_are_given_back(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "MOST_PASSING", 1)
    found = dict(cache.read_tree(find(tree), lambda what, done, of: None, jobs=1))
    first, second = found["pkg/a.py"], found["pkg/broken.py"]
    before = first.reads
    assert before
    assert second.functions == [] or second.functions
    first.functions  # noqa: B018 - decoded, so that the oldest gives way
    assert first.reads == before
