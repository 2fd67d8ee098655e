"""The cache believes contents, survives restarts, and is never needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netra.launcher import CacheEntry, CacheWarmer, ContentCache
from netra.launcher.cache import digest
from netra.launcher.locks import NamedLocks
from netra.launcher.preparations import Preparation, Preparer, migrations


@pytest.mark.spec("launcher.cache")
def test_what_holds_for_some_contents_is_known_after_a_restart_and_not_for_others(tmp_path: Path) -> None:
    file = tmp_path / "package-lock.json"
    file.write_text("one")
    ContentCache(tmp_path / "cache.json").remember("packages", digest([file]), seconds=1.5)

    again = ContentCache(tmp_path / "cache.json")
    assert again.holds("packages", digest([file]))
    entry = again.entry("packages")
    assert isinstance(entry, CacheEntry) and entry.seconds == 1.5

    os.utime(file, (1, 1))
    assert again.holds("packages", digest([file])), "only contents count"
    file.write_text("two")
    assert not again.holds("packages", digest([file]))
    again.forget("packages")
    assert ContentCache(tmp_path / "cache.json").entry("packages") is None


def test_a_digest_sees_names_contents_facts_and_what_is_missing(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    seen = {digest([one])}
    one.write_text("ab")
    seen.add(digest([one]))
    seen.add(digest([one], "fact"))
    two.write_text("c")
    seen.add(digest([one, two]))
    one.write_text("a")
    two.write_text("bc")
    seen.add(digest([one, two]))
    assert len(seen) == 5
    assert digest([two, one]) == digest([one, two])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 0}', '{"format": 1, "entries": {"a": {"b": 1}}}'])
def test_a_file_that_cannot_be_read_counts_as_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text(content)
    cache = ContentCache(tmp_path / "cache.json")
    assert cache.entry("a") is None
    cache.remember("a", "key")
    assert ContentCache(tmp_path / "cache.json").holds("a", "key")


@pytest.mark.spec("launcher.cache")
def test_what_is_unchanged_is_skipped_and_without_the_cache_done_again(tmp_path: Path) -> None:
    done: list[str] = []
    source = tmp_path / "source"
    source.write_text("one")
    preparation = Preparation("page", "Build the page", lambda: digest([source]), lambda: done.append("built"))

    def start(*, enabled: bool = True) -> bool:
        cache = ContentCache(tmp_path / "cache.json", enabled=enabled)
        return Preparer(cache, NamedLocks(tmp_path / "locks"), lambda _: None).prepare(preparation)

    assert (start(), start(), start()) == (True, False, False)
    assert start(enabled=False)
    assert not start(), "what was found out without the cache is remembered all the same"
    source.write_text("two")
    assert (start(), start()) == (True, False)
    assert done == ["built"] * 3


def test_what_failed_is_not_remembered(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no network")

    preparation = Preparation("page", "Build the page", lambda: "key", fail, lock="page")
    cache = ContentCache(tmp_path / "cache.json")
    preparer = Preparer(cache, NamedLocks(tmp_path / "locks"), lambda _: None)
    with pytest.raises(OSError, match="no network"):
        preparer.prepare(preparation)
    assert cache.entry("page") is None
    assert NamedLocks(tmp_path / "locks").holder("page") is None


@pytest.mark.spec("launcher.cache")
def test_a_child_that_is_ready_warms_the_cache_with_what_it_proves(tmp_path: Path) -> None:
    proved = Preparation("migrations", "Migrate", lambda: "now", lambda: None, proved_by="server")
    other = Preparation("packages", "Install", lambda: "now", lambda: None)
    cache = ContentCache(tmp_path / "cache.json")
    warmer = CacheWarmer(cache, [proved, other])
    assert warmer.ready("page") == []
    assert warmer.ready("server") == ["migrations"]
    assert cache.holds("migrations", "now") and cache.entry("packages") is None


def test_a_new_database_under_the_old_name_is_migrated_again(tmp_path: Path) -> None:
    file = tmp_path / "netra.db"

    def key() -> str:
        return migrations(f"sqlite:///{file}", {}, tmp_path, None).key()  # type: ignore[arg-type]  # not run

    missing = key()
    file.touch()
    there = key()
    file.rename(tmp_path / "old.db")
    file.touch()
    assert len({missing, there, key()}) == 3
