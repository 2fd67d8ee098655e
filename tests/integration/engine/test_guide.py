"""The agent that the guide shows works as it is printed there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from netra.agents import load
from support.engine import workbench

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "agents.md"


async def test_the_first_example_of_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"```python\n(# my_agents.py\n.*?)```", GUIDE.read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / "my_agents.py").write_text(example.group(1))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    spec = load("my_agents:counter")
    assert (spec.name, spec.title) == ("counter", "Word counter")
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [spec]) as bench:
        end, events = await bench.ask("counter", "one two three")
    assert end["final_response"] == "Your message has **3 words**."
    assert events[3]["tool_purpose"] == "Count the words."
