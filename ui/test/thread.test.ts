import assert from "node:assert/strict";
import { test } from "node:test";
import type { ThreadEvent } from "../src/core/protocol.gen.ts";
import { activeTurn, apply, emptyThread, reading } from "../src/core/thread.ts";
import { fixture, fixtures, summary } from "./fixtures.ts";

const replay = (events: ReadonlyArray<ThreadEvent>, from = emptyThread(events[0]?.thread_id ?? "")) =>
  events.reduce(apply, from);

for (const each of fixtures) {
  test(`${each.name}: ${each.about}`, () => assert.deepEqual(summary(replay(each.events)), each.expect));
}

test("applying never changes a state that was handed out", () => {
  for (const each of fixtures) {
    let state = emptyThread("thr");
    for (const event of each.events) {
      const before = JSON.stringify(state);
      const next = apply(state, event);
      assert.equal(JSON.stringify(state), before);
      state = next;
    }
  }
});

test("turns that did not change keep their identity", () => {
  const before = replay(fixture("completed").events);
  const after = apply(before, {
    ...fixture("completed").events[0]!,
    seq: 20,
    prev: 13,
    message_id: "msg_9",
  } as ThreadEvent);
  assert.equal(after.turns[0], before.turns[0]);
  assert.equal(after.turns.length, 2);
});

test("the reader rule tells duplicates, next events and gaps apart, also after compaction", () => {
  assert.equal(reading(5, { seq: 5, prev: 4 }), "duplicate");
  assert.equal(reading(5, { seq: 6, prev: 5 }), "apply");
  assert.equal(reading(5, { seq: 9, prev: 3 }), "apply");
  assert.equal(reading(5, { seq: 9, prev: 8 }), "gap");
});

test("a reader cut anywhere in the stream ends where an uncut one ends, though the deltas are gone by then", () => {
  const streaming = fixture("streaming").events;
  const completed = fixture("completed").events;
  const whole = summary(replay(completed));
  for (let cut = 0; cut <= streaming.length; cut++) {
    let state = replay(streaming.slice(0, cut), emptyThread("thr_report"));
    for (const event of completed) {
      const verdict = reading(state.lastSeq, event);
      assert.notEqual(verdict, "gap");
      if (verdict === "apply") state = apply(state, event);
    }
    assert.deepEqual(summary(state), whole);
  }
});

test("an event of an unknown kind is counted and left out", () => {
  const state = replay(fixture("completed").events);
  const next = apply(state, {
    ...fixture("completed").events[0]!,
    type: "hologram",
    seq: 14,
  } as unknown as ThreadEvent);
  assert.equal(next.unknown, 1);
  assert.equal(next.lastSeq, 14);
  assert.equal(next.turns, state.turns);
});

test("the active turn is the one that runs, else the oldest that waits", () => {
  const events = fixture("queued").events;
  assert.equal(activeTurn(replay(events.slice(0, 4)))?.question?.content, "First");
  assert.equal(activeTurn(replay(events.slice(0, 7)))?.question?.content, "Second");
  assert.equal(activeTurn(replay(fixture("completed").events)), null);
});

test("a final response too large for an event is kept as a reference to its blob", () => {
  const events = fixture("completed").events;
  const last = events.at(-1)!;
  const state = replay([
    ...events.slice(0, -1),
    { ...last, final_response: { $blob: "blob_1", size: 70_000 } } as ThreadEvent,
  ]);
  assert.deepEqual(state.turns[0]?.run?.textBlob, { $blob: "blob_1", size: 70_000 });
});

test("a later attempt discards the half answer, and what is left of the earlier one is ignored", () => {
  const events = fixture("streaming").events;
  const last = events.at(-1) as Extract<ThreadEvent, { type: "text_delta" }>;
  const again: ThreadEvent = { ...last, seq: 13, prev: 12, attempt: 2, offset: 0, text: "From the start" };
  const stale: ThreadEvent = { ...last, seq: 14, prev: 13, attempt: 1, offset: 24, text: "old" };
  const run = replay([...events, again, stale]).turns[0]?.run;
  assert.equal(run?.text, "From the start");
  assert.equal(run?.attempt, 2);
});

test("a cancelled run keeps the text it had streamed", () => {
  const events = fixture("streaming").events;
  const end = { ...fixture("completed").events.at(-1)!, status: "cancelled", final_response: "" } as ThreadEvent;
  assert.equal(replay([...events, end]).turns[0]?.run?.text, "Your spend is **$3.20**.");
});
