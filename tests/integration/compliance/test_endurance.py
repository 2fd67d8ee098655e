"""What happens on trees that are too large for memory, and when the system takes a worker away."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from netra.compliance import cache, check, pack, pool
from netra.compliance.config import Config
from netra.compliance.rule import Finding
from netra.compliance.walk import find

PARTS = """
class Part:
    def __init__(self) -> None:
        self.size = 1

class Maker:
    def make(self) -> Part:
        return Part()

    @classmethod
    def first(cls) -> Part:
        return Part()
"""
USER = """
from pkg.parts import Maker

def use(maker: Maker) -> int:
    part = maker.make()
    return part.weight

def again() -> int:
    part = Maker.first()
    return part.size + part.weight
"""


def findings(root: Path) -> list[Finding]:
    tree = find(root)
    config = Config()
    facts = cache.read_tree(tree, lambda what, done, of: None, jobs=1)
    return list(check.judge(tree, facts, config, check.selected(config)).findings)


def test_findings_do_not_depend_on_how_much_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name, text in {"__init__.py": "", "parts.py": PARTS, **{f"user{n}.py": USER for n in range(3)}}.items():
        (tmp_path / "pkg" / name).write_text(text)
    expected = findings(tmp_path)
    assert {"SSOT111", "SSOT301"} & {each.rule for each in expected}
    monkeypatch.setattr(pack, "MOST_PASSING", 1)
    assert findings(tmp_path) == expected


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_from_outside_costs_one_file_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_number: signal.Signals
) -> None:
    paths = []
    for number in range(60):
        path = tmp_path / f"m{number}.py"
        path.write_text(f"class C{number}:\n    def f(self, a: int) -> int:\n        return a\n" * 40)
        paths.append(os.fspath(path))
    monkeypatch.setattr(pool, "SMALL_BYTES", 0)
    monkeypatch.setattr(pool, "CHUNK_BYTES", 20_000)
    made: list[pool.Made] = []
    killed: list[int] = []

    def read() -> None:
        for each in pool.run(paths, [4000] * len(paths), 2, lambda done: None):
            made.append(each)
            if not killed:
                workers = psutil.Process().children()
                killed.extend(worker.pid for worker in workers)
                for worker in workers:
                    worker.send_signal(signal_number)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the pool waits for a worker that is gone"
    assert killed
    assert sorted(number for number, _, _ in made) == list(range(60))
    lost = [pack.unpack(parts).trouble[0].message for _, key, parts in made if not key]
    assert len(lost) <= len(killed)
    assert set(lost) <= {"the parser did not survive it"}
