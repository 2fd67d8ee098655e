"""The page's types and the event fixtures it is tested with say the same as `netra.events`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import get_args

import msgspec
import pytest

from netra import events

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = sorted((ROOT / "tests" / "data" / "events").glob("*.json"))


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gen_types", ROOT / "scripts" / "gen_types.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_types_are_current() -> None:
    module = generator()
    assert module.TARGET.read_text(encoding="utf-8") == module.render(), "run: python scripts/gen_types.py"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_holds_events_as_the_server_encodes_them(path: Path) -> None:
    for raw in json.loads(path.read_text(encoding="utf-8"))["events"]:
        event = events.decode(json.dumps(raw).encode())
        assert json.loads(events.encode(event)) == raw


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixture_follows_the_reader_rule(path: Path) -> None:
    last = 0
    for raw in json.loads(path.read_text(encoding="utf-8"))["events"]:
        assert raw["prev"] <= last < raw["seq"]
        last = raw["seq"]


def test_every_event_type_has_a_fixture() -> None:
    seen = {raw["type"] for path in FIXTURES for raw in json.loads(path.read_text(encoding="utf-8"))["events"]}
    known = {msgspec.inspect.type_info(each).tag for each in get_args(events.ThreadEvent)}  # type: ignore[attr-defined]
    assert seen == known
