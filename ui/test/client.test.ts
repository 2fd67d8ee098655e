import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../src/core/client.ts";
import { pause } from "../src/core/connection.ts";
import type { ThreadEvent } from "../src/core/protocol.gen.ts";
import { fixture, summary } from "./fixtures.ts";
import { settled, World } from "./surroundings.ts";

const events = fixture("streaming").events;
const completed = fixture("completed");
const THREAD = "thr_report";

function opened(): { world: World; client: Client } {
  const world = new World();
  const client = world.client();
  client.open(THREAD);
  client.connect();
  world.socket.establish();
  return { world, client };
}

test("the pause grows from a quarter second to fifteen seconds and is never less than half of that", () => {
  assert.deepEqual(
    [1, 2, 3, 7, 20].map((attempt) => pause(attempt, 0)),
    [125, 250, 500, 7500, 7500],
  );
  assert.ok(pause(1, 0.999) < 250 && pause(50, 0.999) <= 15_000);
});

test("a new connection subscribes to the open thread and applies its events up to the head", () => {
  const { world, client } = opened();
  assert.deepEqual(world.socket.ofType("subscribe"), [{ type: "subscribe", thread_id: THREAD, after: 0 }]);
  world.socket.receive(...completed.events, { type: "live", thread_id: THREAD, seq: 13 });
  assert.equal(client.state.loaded, true);
  assert.deepEqual(summary(client.state.thread!), completed.expect);
});

test("a reconnect resumes after the last event and counts what it caught up", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 6), { type: "live", thread_id: THREAD, seq: 6 });
  world.socket.end(1006);
  assert.equal(client.state.connection.phase, "waiting");
  assert.equal(client.state.connection.attempt, 1);
  world.pass(300);
  world.socket.establish();
  assert.deepEqual(world.socket.ofType("subscribe"), [{ type: "subscribe", thread_id: THREAD, after: 6 }]);
  world.socket.receive(...completed.events.slice(6), { type: "live", thread_id: THREAD, seq: 13 });
  assert.equal(client.state.caughtUp, 5);
  assert.deepEqual(summary(client.state.thread!), completed.expect);
});

test("events that come twice are applied once", () => {
  const { world, client } = opened();
  world.socket.receive(...events, ...events.slice(4), { type: "live", thread_id: THREAD, seq: 12 });
  assert.deepEqual(summary(client.state.thread!), fixture("streaming").expect);
  assert.equal(client.stats.duplicates, 8);
});

test("a missing event makes the client ask again from where it is, once", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 3), { type: "live", thread_id: THREAD, seq: 3 });
  world.socket.receive(...events.slice(5));
  world.pass(20);
  assert.equal(client.state.thread?.lastSeq, 3);
  assert.deepEqual(world.socket.ofType("subscribe").at(-1), { type: "subscribe", thread_id: THREAD, after: 3 });
  assert.equal(world.socket.ofType("subscribe").length, 2);
  world.socket.receive(...events.slice(3), { type: "live", thread_id: THREAD, seq: 12 });
  assert.deepEqual(summary(client.state.thread!), fixture("streaming").expect);
});

test("resync subscribes again from the client's own position", () => {
  const { world } = opened();
  world.socket.receive(
    ...events.slice(0, 4),
    { type: "live", thread_id: THREAD, seq: 4 },
    { type: "resync", thread_id: THREAD, after: 2 },
  );
  assert.deepEqual(world.socket.ofType("subscribe").at(-1), { type: "subscribe", thread_id: THREAD, after: 4 });
});

test("resync to less than was asked for reads the thread anew: the server's log is another one", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 5), { type: "live", thread_id: THREAD, seq: 5 });
  client.open("thr_other");
  client.open(THREAD);
  world.socket.receive({ type: "resync", thread_id: THREAD, after: 3 });
  assert.deepEqual(world.socket.ofType("subscribe").at(-1), { type: "subscribe", thread_id: THREAD, after: 0 });
  world.socket.receive(...events.slice(0, 3), { type: "live", thread_id: THREAD, seq: 3 });
  assert.equal(client.state.thread?.lastSeq, 3);
});

test("late events of the thread before are not shown in the thread that is open", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 3));
  client.open("thr_other");
  world.socket.receive(...events);
  world.pass(50);
  assert.equal(client.state.thread?.threadId, "thr_other");
  assert.equal(client.state.thread?.turns.length, 0);
  assert.equal(client.state.thread?.lastSeq, 0);
  assert.deepEqual(world.socket.ofType("unsubscribe"), [{ type: "unsubscribe", thread_id: THREAD }]);
});

test("going back to a thread asks only for what came since", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 5), { type: "live", thread_id: THREAD, seq: 5 });
  client.open("thr_other");
  client.open(THREAD);
  assert.deepEqual(world.socket.ofType("subscribe").at(-1), { type: "subscribe", thread_id: THREAD, after: 5 });
  assert.equal(client.state.thread?.turns.length, 1);
});

test("a message is shown at once and gives way to its event", () => {
  const { world, client } = opened();
  const pending = client.send("Where does my spend go?");
  assert.equal(client.state.outbox[0]?.status, "sending");
  world.socket.receive({ type: "ack", id: pending.id, thread_id: THREAD, run_id: "run_1", seq: 1 });
  assert.equal(client.state.outbox[0]?.status, "sent");
  world.socket.receive(...events.slice(0, 2));
  world.pass(20);
  assert.equal(client.state.outbox.length, 0);
});

test("an event that overtakes its acknowledgement does not show the message twice", () => {
  const { world, client } = opened();
  const pending = client.send("Where does my spend go?", {
    attachments: [{ id: "fil_1", name: "usage.csv", size: 1, media_type: "text/csv" }],
  });
  world.socket.receive(...events.slice(0, 1));
  world.pass(20);
  assert.equal(client.state.outbox.length, 0);
  world.socket.receive({ type: "ack", id: pending.id, thread_id: THREAD, run_id: "run_1", seq: 1 });
  assert.equal(client.state.outbox.length, 0);
});

test("a message without an acknowledgement is sent again after a reconnect with the same id", () => {
  const { world, client } = opened();
  const pending = client.send("Once");
  world.socket.end(1006);
  assert.equal(client.state.outbox[0]?.status, "waiting");
  world.pass(300);
  world.socket.establish();
  assert.deepEqual(
    world.socket.ofType("user_message").map((each) => each.id),
    [pending.id],
  );
});

test("no answer in ten seconds offers a retry, which keeps the id", () => {
  const { world, client } = opened();
  const pending = client.send("Hello");
  world.pass(10_001);
  assert.equal(client.state.outbox[0]?.status, "failed");
  client.retry(pending.id);
  assert.deepEqual(
    world.socket.ofType("user_message").map((each) => each.id),
    [pending.id, pending.id],
  );
});

test("an unsent message survives a reload of the page", () => {
  const { world, client } = opened();
  const pending = client.send("Keep me");
  const again = world.client();
  assert.equal(again.state.outbox[0]?.id, pending.id);
  assert.equal(again.state.outbox[0]?.status, "waiting");
  assert.equal(client.state.outbox.length, 1);
});

test("a refused message says why, and a rate limit holds the next ones", () => {
  const { world, client } = opened();
  const pending = client.send("Too fast");
  world.socket.receive({
    type: "error",
    code: "rate_limited",
    message: "Too many messages.",
    id: pending.id,
    retry_after_seconds: 3,
  });
  assert.equal(client.state.outbox[0]?.problem, "Too many messages.");
  assert.equal(client.state.heldUntil, 3000);
  world.pass(3001);
  assert.equal(client.state.heldUntil, null);
});

test("the first message makes the thread and moves into it", () => {
  const world = new World();
  const client = world.client();
  client.connect();
  world.socket.establish();
  const pending = client.send("Where does my spend go?");
  assert.equal(world.socket.ofType("user_message")[0]?.thread_id, undefined);
  world.socket.receive({ type: "ack", id: pending.id, thread_id: THREAD, run_id: "run_1", seq: 1 });
  assert.deepEqual(world.created, [THREAD]);
  client.open(THREAD);
  assert.equal(client.state.outbox[0]?.threadId, THREAD);
  world.socket.receive(...events, { type: "live", thread_id: THREAD, seq: 12 });
  assert.equal(client.state.outbox.length, 0);
});

test("an ended session asks for a login, keeps everything, and resumes after it", () => {
  const { world, client } = opened();
  world.socket.receive(...events.slice(0, 4), { type: "live", thread_id: THREAD, seq: 4 });
  world.socket.end(4401);
  assert.equal(client.state.connection.phase, "signed_out");
  world.pass(60_000);
  assert.equal(world.sockets.length, 1);
  client.connect();
  world.socket.establish();
  assert.deepEqual(world.socket.ofType("subscribe"), [{ type: "subscribe", thread_id: THREAD, after: 4 }]);
});

test("a socket refused before it opened asks whether anybody is signed in", async () => {
  const world = new World();
  world.signedIn = false;
  const client = world.client();
  client.connect();
  world.socket.end(1006);
  await settled();
  assert.equal(client.state.connection.phase, "signed_out");
});

test("a refused origin is not tried again", () => {
  const { world, client } = opened();
  world.socket.end(4403);
  world.pass(60_000);
  assert.equal(client.state.connection.phase, "refused");
  assert.equal(world.sockets.length, 1);
});

test("a draining server is named and its wish for a pause is respected", () => {
  const { world, client } = opened();
  world.socket.receive({ type: "draining", retry_after_ms: 5000 });
  world.socket.end(1012);
  assert.equal(client.state.connection.trouble, "restarting");
  world.pass(4999);
  assert.equal(world.sockets.length, 1);
  world.pass(2000);
  assert.equal(world.sockets.length, 2);
});

test("pings go out within the heartbeat, and a silent socket is given up", () => {
  const { world, client } = opened();
  world.pass(15_000);
  assert.equal(world.socket.ofType("ping").length, 1);
  world.pass(40_000);
  assert.notEqual(client.state.connection.phase, "open");
});

test("nothing is tried while the network is away, and at once when it is back", () => {
  const { world, client } = opened();
  world.online = false;
  client.networkChanged();
  assert.equal(client.state.connection.phase, "offline");
  world.pass(120_000);
  assert.equal(world.sockets.length, 1);
  world.online = true;
  client.networkChanged();
  assert.equal(world.sockets.length, 2);
});

test("a thread that does not exist is said to be missing", () => {
  const { world, client } = opened();
  world.socket.receive({ type: "error", code: "not_found", message: "There is no such thread.", thread_id: THREAD });
  assert.equal(client.state.missing, true);
});

test("stop is under way until the run has ended", () => {
  const { world, client } = opened();
  world.socket.receive(...events, { type: "live", thread_id: THREAD, seq: 12 });
  client.cancel("run_1");
  assert.equal(client.state.stopping?.runId, "run_1");
  assert.deepEqual(world.socket.ofType("cancel_run"), [{ type: "cancel_run", run_id: "run_1" }]);
  world.socket.receive({ ...completed.events.at(-1)!, prev: 12 } as ThreadEvent);
  world.pass(20);
  assert.equal(client.state.stopping, null);
});
