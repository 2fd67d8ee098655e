"""What people see of a tool call: parameters by name, as JSON, without secrets."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from netra.agents import tool
from netra.agents.rehearsal import Rehearsal
from netra.agents.results import to_json
from netra.agents.tools import describe, is_secret, visible


def search(query: str, limit: int = 10, *, api_key: str | None = None, **more: Any) -> None: ...


def test_parameters_go_by_their_names() -> None:
    assert visible(search, ("cats",), {"limit": 3}) == {"query": "cats", "limit": 3}
    assert visible(search, ("cats",), {"extra": 1}) == {"query": "cats", "extra": 1}
    assert visible(search, (1, 2, 3, 4), {}) == {"arg0": 1, "arg1": 2, "arg2": 3, "arg3": 4}
    assert visible(functools.partial(search, limit=5), ("cats",), {}) == {"query": "cats"}


def test_secrets_are_masked_at_every_depth() -> None:
    nested = {"headers": {"Authorization": "Bearer abc", "accept": "*"}, "list": [{"password": "x"}]}
    assert visible(search, ("q",), {"api_key": "sk-1", "options": nested}) == {
        "query": "q",
        "api_key": "•••",
        "options": {"headers": {"Authorization": "•••", "accept": "*"}, "list": [{"password": "•••"}]},
    }


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "api_key", "apiKey", "accessToken", "client_secret", "authorization", "key", "cookie"],
)
def test_names_that_say_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["keyboard", "monkey", "input_tokens", "max_tokens", "query", "author", "keyword"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name)


def test_the_run_itself_is_no_parameter() -> None:
    rehearsal = Rehearsal("hello")
    assert visible(search, (rehearsal.context,), {"limit": 1}) == {"limit": 1}


class Model(BaseModel):
    when: datetime


@dataclass
class Point:
    x: int
    token: str


def test_anything_becomes_json_that_people_can_read() -> None:
    seen = visible(
        search,
        ("half \ud83d",),
        {
            "model": Model(when=datetime(2026, 1, 2, tzinfo=UTC)),
            "point": Point(1, "t"),
            "path": Path("/tmp/x"),
            "tags": {"one"},
        },
    )
    assert seen["query"] == "half ?"
    assert seen["model"] == {"when": "2026-01-02T00:00:00Z"}
    assert seen["point"] == {"x": 1, "token": "•••"}
    assert seen["path"] == "/tmp/x"
    assert seen["tags"] == ["one"]


def test_a_marked_tool_brings_its_name_and_purpose() -> None:
    @tool(name="web-search", purpose="Looks things up.")
    def look(query: str) -> str:
        return query

    @tool
    def documented() -> None:
        """Does it well.

        In detail.
        """

    assert look("x") == "x"
    call = describe(look, ("x",), {})
    assert (call.name, call.purpose, call.parameters) == ("web-search", "Looks things up.", {"query": "x"})
    assert describe(look, ("x",), {}, name="other").name == "other"
    assert describe(documented, (), {}).purpose == "Does it well."
    assert describe(functools.partial(look, "y"), (), {}).name == "web-search"


def test_a_result_is_the_same_now_and_after_a_crash() -> None:
    assert to_json({"a": (1, 2), 3: Point(1, "t")}) == {"a": [1, 2], "3": {"x": 1, "token": "t"}}
    assert to_json(Model(when=datetime(2026, 1, 2, tzinfo=UTC))) == {"when": "2026-01-02T00:00:00Z"}
    with pytest.raises(TypeError, match="not JSON-serialisable"):
        to_json({"file": object()})
    with pytest.raises(TypeError, match="not JSON-serialisable"):
        to_json("half \ud83d")
