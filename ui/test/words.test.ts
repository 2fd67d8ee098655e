import assert from "node:assert/strict";
import { test } from "node:test";
import { chartsOf, figure, shortFigure, suggestionsOf, xLabel } from "../src/core/chart.ts";
import { bytes, duration, humanise, oneLine, pretty } from "../src/core/format.ts";
import { chatPath, parse } from "../src/core/route.ts";
import { grouped, merge } from "../src/core/threads.ts";
import { fixture } from "./fixtures.ts";

test("durations read as people say them", () => {
  assert.deepEqual([0, 999, 1000, 4249, 59_949, 59_951, 3_599_000, 3_661_000].map(duration), [
    "0 ms",
    "999 ms",
    "1.0 s",
    "4.2 s",
    "59.9 s",
    "1 m 0 s",
    "59 m 59 s",
    "1 h 1 m",
  ]);
});

test("sizes and names read as people say them", () => {
  assert.deepEqual([512, 2048, 20_480, 5_242_880].map(bytes), ["512 B", "2.0 KiB", "20 KiB", "5.0 MiB"]);
  assert.equal(humanise("find_cacheable-requests"), "Find cacheable requests");
});

test("parameters fit on one line and show no secrets", () => {
  assert.equal(
    oneLine({ table: "usage", rows: 41254, api_key: "sk-1", nested: { a: 1 } }),
    "table: usage, rows: 41,254, api_key: •••, nested: {…}",
  );
  assert.equal(oneLine("a\n  b"), "a b");
  assert.equal(pretty("x".repeat(30_000)).endsWith("9.8 KiB more"), true);
});

test("charts of a result are read, and what does not hold together is left out", () => {
  const result = fixture("completed").events.at(-1) as unknown as { result: unknown };
  const charts = chartsOf(result.result);
  assert.deepEqual(charts.get("by-model")?.series[0]?.values, [2.2, 1]);
  assert.deepEqual(suggestionsOf(result.result), ["Which user spends most?"]);
  for (const bad of [
    null,
    3,
    "x",
    {},
    { charts: 1 },
    { charts: [null, {}, { id: "a", kind: "pie" }, { id: "a", kind: "bar", x: { values: ["1"] }, y: {}, series: [] }] },
  ]) {
    assert.equal(chartsOf(bad).size, 0);
    assert.deepEqual(suggestionsOf(bad), []);
  }
  const odd = chartsOf({
    charts: [
      { id: "a", kind: "line", x: { type: "time", values: ["soon"] }, y: {}, series: [{ values: ["1", null] }] },
    ],
  }).get("a");
  assert.deepEqual(odd?.series, [{ name: "", values: [null] }]);
  assert.equal(odd?.x.type, "category");
});

test("figures carry their unit", () => {
  assert.deepEqual(
    [1284.164, 0.0123, null].map((value) => figure(value, "usd")),
    ["$1,284.16", "$0.0123", "–"],
  );
  assert.deepEqual(
    [0, 2.5, 12_500, 1_200_000].map((value) => shortFigure(value, "usd")),
    ["$0", "$2.5", "$12.5k", "$1.2M"],
  );
  const chart = chartsOf({
    charts: [
      {
        id: "a",
        kind: "line",
        x: { type: "time", values: ["2026-03-02T16:00:00Z"] },
        y: {},
        series: [{ values: [1] }],
      },
    ],
  }).get("a");
  assert.equal(xLabel(chart!, 0), "2 Mar, 16:00");
});

test("addresses and screens belong together", () => {
  assert.deepEqual(parse("/"), { screen: "chat", thread: null });
  assert.deepEqual(parse(chatPath("thr_1")), { screen: "chat", thread: "thr_1" });
  assert.equal(parse("/settings").screen, "settings");
  assert.equal(parse("/chat/a/b").screen, "unknown");
});

const row = (id: string, updated: string) => ({
  id,
  title: id,
  created_at: updated,
  updated_at: updated,
  last_seq: 1,
  running: false,
});
const change = (id: string, updated: string, deleted = false) => ({
  type: "thread_changed" as const,
  id,
  title: "new",
  last_seq: 2,
  running: true,
  updated_at: updated,
  deleted,
});

test("a changed thread moves to its place in the list, a deleted one leaves it", () => {
  const items = [row("a", "2026-01-03T00:00:00Z"), row("b", "2026-01-02T00:00:00Z")];
  assert.deepEqual(
    merge(items, change("b", "2026-01-04T00:00:00Z")).map((each) => each.id),
    ["b", "a"],
  );
  assert.deepEqual(
    merge(items, change("c", "2026-01-02T12:00:00Z")).map((each) => each.id),
    ["a", "c", "b"],
  );
  assert.deepEqual(
    merge(items, change("a", "2026-01-04T00:00:00Z", true)).map((each) => each.id),
    ["b"],
  );
});

test("threads stand under today, the last seven days, and older", () => {
  const now = new Date(2026, 0, 20, 15).getTime();
  const days = (count: number): string => new Date(now - count * 86_400_000).toISOString();
  assert.deepEqual(
    grouped([row("a", days(0)), row("b", days(2)), row("c", days(30))], now).map(([group, items]) => [
      group,
      items.length,
    ]),
    [
      ["Today", 1],
      ["Last 7 days", 1],
      ["Older", 1],
    ],
  );
});
