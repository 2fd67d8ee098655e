/** The event fixtures shared with the Python tests. */
import { readdirSync, readFileSync } from "node:fs";
import type { ThreadEvent } from "../src/core/protocol.gen.ts";
import type { ThreadState } from "../src/core/thread.ts";

export interface Fixture {
  readonly name: string;
  readonly about: string;
  readonly events: ReadonlyArray<ThreadEvent>;
  readonly expect: unknown;
}

const folder = new URL("../../tests/data/events/", import.meta.url);

export const fixtures: ReadonlyArray<Fixture> = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .map((name) => ({
    name: name.replace(".json", ""),
    ...(JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Omit<Fixture, "name">),
  }));

export function fixture(name: string): Fixture {
  const found = fixtures.find((each) => each.name === name);
  if (!found) throw new Error(`no fixture ${name}`);
  return found;
}

/** What a fixture's `expect` says of a state. */
export function summary(state: ThreadState): unknown {
  return {
    turns: state.turns.map(({ question, run }) => ({
      question: question?.content ?? null,
      files: question?.attachments.map((file) => file.name) ?? [],
      agent: run?.agent ?? null,
      status: run?.status ?? "queued",
      text: run?.text ?? "",
      steps: (run?.steps ?? []).map((step) => ({
        kind: step.kind,
        agent: step.agent,
        status: step.status,
        label: step.kind === "tool" ? step.tool : step.kind === "thinking" ? step.thoughts.at(-1)?.text : step.decision,
      })),
    })),
    lastSeq: state.lastSeq,
  };
}
