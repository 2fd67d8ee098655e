"""The vocabulary: every event survives the way into the log and out of it, byte for byte."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netra import events
from netra.events import (
    AgentCompleted,
    AgentStarted,
    AgentThinking,
    ApprovalRequested,
    ApprovalResolved,
    Attachment,
    BlobRef,
    Event,
    Failure,
    TextDelta,
    ToolCompleted,
    ToolExecuting,
    Usage,
    UserMessage,
)

HEAD: dict[str, Any] = {
    "event_id": "evt_1",
    "thread_id": "thr_1",
    "run_id": "run_1",
    "user_id": "usr_1",
    "agent_name": "optimizer",
    "timestamp": "2026-01-02T03:04:05.678Z",
}
AWKWARD = 'quotes " \\ and "seq":0,"prev":0, inside \u2028 \x07 🎉'
SAMPLES: list[Event] = [
    UserMessage(
        **HEAD | {"run_id": None, "agent_name": None},
        message_id="msg_1",
        content=AWKWARD,
        attachments=[Attachment(id="fil_1", name="a.csv", size=3, media_type="text/csv")],
    ),
    AgentStarted(**HEAD, message=AWKWARD, attempt=2, limits={"seconds": 900.0}),
    AgentThinking(**HEAD, step_number=1, reasoning=AWKWARD),
    TextDelta(**HEAD, message_id="msg_1", attempt=1, offset=5, text=AWKWARD),
    ToolExecuting(
        **HEAD, tool_call_id="call_1", tool_name="t", parameters={"seq": 0, "prev": 0, "x": AWKWARD}, tool_purpose=None
    ),
    ToolCompleted(
        **HEAD,
        tool_call_id="call_1",
        tool_name="t",
        success=False,
        error=Failure(code="c", message=AWKWARD),
        duration_ms=3,
    ),
    ApprovalRequested(
        **HEAD, approval_id="apr_1", tool_call_id=None, prompt=AWKWARD, schema={"type": "object"}, expires_at="x"
    ),
    ApprovalResolved(**HEAD, approval_id="apr_1", decision="approved", payload=[1, None, AWKWARD], by="usr_1"),
    AgentCompleted(**HEAD, status="succeeded", final_response=AWKWARD, duration_ms=1, usage=Usage(cost_usd=0.5)),
    AgentCompleted(**HEAD, status="died", final_response=BlobRef(blob="blob_1", size=70_000), duration_ms=1),
]


def test_there_is_a_sample_of_every_type() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(events.ThreadEvent))


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_stored_form_with_the_place_it_was_given(event: Event) -> None:
    stored = events.encode_unplaced(event)
    assert not {"seq", "prev"} & json.loads(stored).keys()
    wire = events.place(stored, 12, 9)
    assert events.decode(wire) == msgspec.structs.replace(event, seq=12, prev=9)
    pairs = json.loads(wire, object_pairs_hook=list)
    assert len({name for name, _ in pairs}) == len(pairs), "a member appears twice"


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_a_place_that_an_event_already_had_is_not_stored(event: Event) -> None:
    assert events.encode_unplaced(msgspec.structs.replace(event, seq=7, prev=3)) == events.encode_unplaced(event)


@given(text=st.text(st.characters(exclude_categories=["Cs"])), seq=st.integers(1, 2**53), prev=st.integers(0, 2**53))
def test_no_text_can_disturb_the_place_of_an_event(text: str, seq: int, prev: int) -> None:
    event = UserMessage(**HEAD, message_id="m", content=text)
    placed = events.decode(events.place(events.encode_unplaced(event), seq, prev))
    assert placed == msgspec.structs.replace(event, seq=seq, prev=prev)


def test_every_type_on_the_wire_has_a_name_of_its_own() -> None:
    for family in (events.ThreadEvent, events.ServerFrame, events.Command):
        tags = [kind.__struct_config__.tag for kind in get_args(family)]
        assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("family", [events.ThreadEvent, events.ServerFrame, events.Command])
def test_json_schema_is_made_of_all_types(family: Any) -> None:
    schema = json.dumps(msgspec.json.schema(family))
    for kind in get_args(family):
        assert f'"const": "{kind.__struct_config__.tag}"' in schema or f'["{kind.__struct_config__.tag}"]' in schema


def test_an_event_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        events.decode(b'{"type":"surprise"}')
