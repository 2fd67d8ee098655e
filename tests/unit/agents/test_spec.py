"""Agents are found by import string, describe themselves, and what is wrong with one is said plainly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netra.agents import AgentSpec, Answer, RunContext, agent, load, load_all
from netra.agents.spec import spec_of
from netra.errors import ConfigurationError


@agent
async def plain_agent(ctx: RunContext) -> str:
    """Answers plainly,
    over two lines.

    Not shown.
    """
    return "plain"


@agent(name="fancy-1", title="Fancy!", description="Does.", examples=["One", "Two"], accepts=[".csv"])
async def fancy(ctx: RunContext) -> Any:
    yield "fancy"


@agent
class Stateful:
    async def run(self, ctx: RunContext) -> Answer:
        return Answer("stateful")


async def unmarked(ctx: RunContext) -> str:
    return "unmarked"


def ordinary(ctx: RunContext) -> str:
    return "ordinary"


ready = AgentSpec("ready", unmarked)


def test_a_marked_function_describes_itself_and_stays_a_function() -> None:
    spec = spec_of(plain_agent)
    assert (spec.name, spec.title, spec.description) == (
        "plain_agent",
        "Plain agent",
        "Answers plainly, over two lines.",
    )
    assert spec.target is plain_agent
    spec = spec_of(fancy)
    assert (spec.name, spec.title, spec.description, spec.examples, spec.accepts) == (
        "fancy-1",
        "Fancy!",
        "Does.",
        ("One", "Two"),
        (".csv",),
    )


def test_an_instance_of_a_marked_class_keeps_the_classs_words() -> None:
    instance = Stateful()
    assert spec_of(Stateful).target is Stateful
    assert spec_of(instance).name == "Stateful"
    assert spec_of(instance).target is instance


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("plain_agent", "plain_agent"),
        ("fancy", "fancy-1"),
        ("Stateful", "Stateful"),
        ("unmarked", "unmarked"),
        ("ready", "ready"),
    ],
)
def test_agents_load_by_import_string(attribute: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "some_agents", sys.modules[__name__])
    assert load(f"some_agents:{attribute}").name == name


def test_an_agent_in_the_working_directory_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "local_agents_here.py").write_text("async def echo(ctx):\n    return ctx.message.content\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert load("local_agents_here:echo").name == "echo"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("netra.agents", "does not name an agent"),
        (":x", "does not name an agent"),
        ("no_such_module_at_all:x", "no module 'no_such_module_at_all'"),
        ("netra.agents.no_such_part:x", "no module 'netra.agents.no_such_part'"),
        ("some_agents:plain_agnt", "has no 'plain_agnt'"),
        ("some_agents:ordinary", "make it async"),
        ("some_agents:AgentSpec", "without a method run"),
        ("broken_when_imported:x", "ZeroDivisionError"),
        ("needs_another_module:x", "needs the module 'some_missing_dependency'"),
    ],
)
def test_what_is_wrong_with_a_reference_is_said(
    reference: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_when_imported.py").write_text("1 / 0")
    (tmp_path / "needs_another_module.py").write_text("import some_missing_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "some_agents", sys.modules[__name__])
    with pytest.raises(ConfigurationError, match=says) as caught:
        load(reference)
    if reference.endswith("agnt"):
        assert caught.value.hint == "Did you mean 'plain_agent'?"


def test_two_agents_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "some_agents", sys.modules[__name__])
    assert list(load_all(["some_agents:fancy", "some_agents:ready"])) == ["fancy-1", "ready"]
    with pytest.raises(ConfigurationError, match="Two agents are named 'ready'"):
        load_all(["some_agents:ready", "some_agents:ready"])


@pytest.mark.parametrize("name", ["", "two words", "ümlaut", "-dash", "x" * 65, "a/b"])
def test_a_name_that_clients_could_not_send_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name"):
        AgentSpec(name, unmarked)


def test_importing_the_interface_loads_no_engine_and_no_model_library() -> None:
    code = (
        "import sys, netra.agents; print([m for m in ('dbos', 'pydantic_ai', 'openai', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
