/**
 * The state of one thread, built from its log alone. `apply` is a pure function of (state, event): the same events give
 * the same state on every device, in every tab and after every reconnect. It copies only what changes, so that rows that
 * did not change keep their identity and are not drawn again.
 */
import type { AgentCompleted, Attachment, BlobRef, Failure, ThreadEvent, Usage } from "./protocol.gen.ts";

export type StepStatus = "running" | "done" | "failed" | "stopped";
export type RunStatus = AgentCompleted["status"];

interface StepBase {
  readonly id: string;
  /** Which agent did it: the run's own agent or a sub-agent. */
  readonly agent: string;
  readonly status: StepStatus;
  /** Milliseconds since the epoch, server time. */
  readonly startedAt: number;
  readonly endedAt: number | null;
}

export interface ThinkingStep extends StepBase {
  readonly kind: "thinking";
  /** Consecutive thoughts of one agent are one step; the last one is shown, all are kept. */
  readonly thoughts: ReadonlyArray<{ readonly text: string; readonly at: number }>;
}

export interface ToolStep extends StepBase {
  readonly kind: "tool";
  readonly tool: string;
  readonly purpose: string | null;
  readonly parameters: unknown;
  readonly results: unknown;
  readonly error: Failure | null;
  /** As measured by the server; null while it runs. */
  readonly durationMs: number | null;
}

export interface ApprovalStep extends StepBase {
  readonly kind: "approval";
  readonly prompt: string;
  readonly schema: { readonly [key: string]: unknown } | null;
  readonly toolCallId: string | null;
  readonly expiresAt: number;
  readonly fallback: string;
  readonly decision: string | null;
  readonly by: string | null;
}

export type Step = ThinkingStep | ToolStep | ApprovalStep;

export interface Run {
  readonly id: string;
  readonly agent: string;
  readonly status: "running" | RunStatus;
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly durationMs: number | null;
  readonly limits: { readonly [key: string]: number };
  readonly steps: ReadonlyArray<Step>;
  /** The streamed answer so far; after the end, the final response (or what had been streamed, when that was empty). */
  readonly text: string;
  /** Set when the final response was too large for an event; its text must be fetched. */
  readonly textBlob: BlobRef | null;
  readonly textMessageId: string | null;
  readonly result: unknown;
  readonly error: Failure | null;
  readonly usage: Usage | null;
}

export interface Question {
  readonly messageId: string;
  readonly content: string;
  readonly attachments: ReadonlyArray<Attachment>;
  readonly at: number;
  readonly seq: number;
}

/** A question and the run that answers it. `run` is null while the question waits for a worker. */
export interface Turn {
  readonly key: string;
  readonly runId: string | null;
  readonly question: Question | null;
  readonly run: Run | null;
}

export interface ThreadState {
  readonly threadId: string;
  readonly lastSeq: number;
  readonly turns: ReadonlyArray<Turn>;
  /** Events of a kind this page does not know: ignored, and counted. */
  readonly unknown: number;
}

export const emptyThread = (threadId: string): ThreadState => ({ threadId, lastSeq: 0, turns: [], unknown: 0 });

export type Reading = "apply" | "duplicate" | "gap";

/** The reader rule: what to do with an event after everything up to `last` has been applied. */
export function reading(last: number, event: { readonly seq: number; readonly prev: number }): Reading {
  if (event.seq <= last) return "duplicate";
  return event.prev <= last ? "apply" : "gap";
}

export const isBlob = (value: unknown): value is BlobRef =>
  typeof value === "object" && value !== null && typeof (value as BlobRef).$blob === "string";

export const isRunning = (run: Run | null): boolean => run !== null && run.status === "running";

/** The turn whose run is going on, or waits to begin; null when the thread is at rest. */
export function activeTurn(state: ThreadState): Turn | null {
  return (
    state.turns.find((turn) => isRunning(turn.run)) ??
    state.turns.find((turn) => turn.run === null && turn.question !== null) ??
    null
  );
}

/** Apply one event that `reading` has let through. */
export function apply(state: ThreadState, event: ThreadEvent): ThreadState {
  const next = { ...state, lastSeq: event.seq };
  const at = Date.parse(event.timestamp);
  switch (event.type) {
    case "user_message": {
      const question: Question = {
        messageId: event.message_id,
        content: event.content,
        attachments: event.attachments,
        at,
        seq: event.seq,
      };
      return { ...next, turns: [...state.turns, { key: event.message_id, runId: event.run_id, question, run: null }] };
    }
    case "agent_started": {
      const existing = runOf(state, event.run_id);
      if (existing) {
        // A later attempt after a crash: recorded steps stay, the half-written answer goes.
        return {
          ...next,
          turns: patchRun(state.turns, event.run_id, (run) => ({
            ...run,
            attempt: event.attempt,
            text: "",
            textMessageId: null,
          })),
        };
      }
      const run: Run = {
        id: event.run_id ?? event.event_id,
        agent: event.agent_name ?? "agent",
        status: "running",
        attempt: event.attempt,
        startedAt: at,
        endedAt: null,
        durationMs: null,
        limits: event.limits,
        steps: [],
        text: "",
        textBlob: null,
        textMessageId: null,
        result: null,
        error: null,
        usage: null,
      };
      return { ...next, turns: attachRun(state.turns, run) };
    }
    case "agent_thinking":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) =>
          think(run, event.agent_name ?? run.agent, event.reasoning, event.event_id, at),
        ),
      };
    case "text_delta":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) => {
          if (event.attempt < run.attempt) return run;
          const restarted = event.attempt > run.attempt || event.offset === 0 || event.message_id !== run.textMessageId;
          return {
            ...run,
            attempt: event.attempt,
            steps: closeThinking(run.steps, at),
            text: restarted ? event.text : run.text + event.text,
            textMessageId: event.message_id,
          };
        }),
      };
    case "tool_executing":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) => {
          const agent = event.agent_name ?? run.agent;
          const step: ToolStep = {
            kind: "tool",
            id: event.tool_call_id,
            agent,
            status: "running",
            startedAt: at,
            endedAt: null,
            tool: event.tool_name,
            purpose: event.tool_purpose,
            parameters: event.parameters,
            results: null,
            error: null,
            durationMs: null,
          };
          const others = run.steps.filter((each) => each.id !== step.id);
          return { ...run, steps: [...closeThinking(others, at, agent), step] };
        }),
      };
    case "tool_completed":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) => ({
          ...run,
          steps: completeTool(run, {
            kind: "tool",
            id: event.tool_call_id,
            agent: event.agent_name ?? run.agent,
            status: event.success ? "done" : "failed",
            startedAt: at - event.duration_ms,
            endedAt: at,
            tool: event.tool_name,
            purpose: null,
            parameters: null,
            results: event.results,
            error: event.error,
            durationMs: event.duration_ms,
          }),
        })),
      };
    case "approval_requested":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) => {
          const step: ApprovalStep = {
            kind: "approval",
            id: event.approval_id,
            agent: event.agent_name ?? run.agent,
            status: "running",
            startedAt: at,
            endedAt: null,
            prompt: event.prompt,
            schema: event.schema,
            toolCallId: event.tool_call_id,
            expiresAt: Date.parse(event.expires_at),
            fallback: event.default,
            decision: null,
            by: null,
          };
          const others = run.steps.filter((each) => each.id !== step.id);
          return { ...run, steps: [...closeThinking(others, at), step] };
        }),
      };
    case "approval_resolved":
      return {
        ...next,
        turns: patchRun(state.turns, event.run_id, (run) => ({
          ...run,
          steps: run.steps.map((step) =>
            step.kind === "approval" && step.id === event.approval_id
              ? { ...step, status: "done" as const, endedAt: at, decision: event.decision, by: event.by }
              : step,
          ),
        })),
      };
    case "agent_completed":
      return { ...next, turns: complete(state.turns, event, at) };
    default:
      // The server may be newer than this page: what it does not know it counts and leaves out.
      return { ...next, unknown: state.unknown + 1 };
  }
}

function runOf(state: ThreadState, runId: string | null): Run | null {
  return state.turns.find((turn) => turn.run !== null && turn.run.id === runId)?.run ?? null;
}

/** A run belongs to the question that carries its id; else to the oldest question nobody has answered. */
function attachRun(turns: ReadonlyArray<Turn>, run: Run): ReadonlyArray<Turn> {
  let at = turns.findIndex((turn) => turn.run === null && turn.runId === run.id);
  if (at < 0) at = turns.findIndex((turn) => turn.run === null && turn.runId === null);
  if (at < 0) return [...turns, { key: run.id, runId: run.id, question: null, run }];
  return turns.map((turn, index) => (index === at ? { ...turn, runId: run.id, run } : turn));
}

function patchRun(turns: ReadonlyArray<Turn>, runId: string | null, patch: (run: Run) => Run): ReadonlyArray<Turn> {
  const at = turns.findLastIndex((turn) => turn.run !== null && turn.run.id === runId);
  const turn = turns[at];
  if (!turn?.run) return turns;
  const run = patch(turn.run);
  return run === turn.run ? turns : turns.with(at, { ...turn, run });
}

function closeThinking(steps: ReadonlyArray<Step>, at: number, agent?: string): ReadonlyArray<Step> {
  if (!steps.some((step) => step.kind === "thinking" && step.status === "running")) return steps;
  return steps.map((step) =>
    step.kind === "thinking" && step.status === "running" && (agent === undefined || step.agent === agent)
      ? { ...step, status: "done" as const, endedAt: at }
      : step,
  );
}

function think(run: Run, agent: string, text: string, id: string, at: number): Run {
  const open = run.steps.findLastIndex(
    (step) => step.kind === "thinking" && step.agent === agent && step.status === "running",
  );
  const step = run.steps[open];
  if (step?.kind === "thinking") {
    return { ...run, steps: run.steps.with(open, { ...step, thoughts: [...step.thoughts, { text, at }] }) };
  }
  // One agent hands over to another: what the first was thinking has come to its end.
  const started: ThinkingStep = {
    kind: "thinking",
    id,
    agent,
    status: "running",
    startedAt: at,
    endedAt: null,
    thoughts: [{ text, at }],
  };
  return { ...run, steps: [...closeThinking(run.steps, at), started] };
}

function completeTool(run: Run, done: ToolStep): ReadonlyArray<Step> {
  const at = run.steps.findLastIndex((step) => step.kind === "tool" && step.id === done.id);
  const step = run.steps[at];
  if (step?.kind !== "tool") return [...run.steps, done];
  return run.steps.with(at, {
    ...done,
    agent: step.agent,
    startedAt: step.startedAt,
    purpose: step.purpose,
    parameters: step.parameters,
  });
}

function complete(turns: ReadonlyArray<Turn>, event: AgentCompleted, at: number): ReadonlyArray<Turn> {
  const closed = (run: Run): Run => {
    const blob = isBlob(event.final_response) ? event.final_response : null;
    const text =
      typeof event.final_response === "string" && event.final_response !== "" ? event.final_response : run.text;
    return {
      ...run,
      status: event.status,
      endedAt: at,
      durationMs: event.duration_ms,
      text,
      textBlob: blob,
      result: event.result,
      error: event.error,
      usage: event.usage,
      steps: run.steps.map((step) =>
        step.status === "running"
          ? { ...step, status: event.status === "succeeded" ? ("done" as const) : ("stopped" as const), endedAt: at }
          : step,
      ),
    };
  };
  if (turns.some((turn) => turn.run !== null && turn.run.id === event.run_id))
    return patchRun(turns, event.run_id, closed);
  // A run that ended before a worker began it (cancelled in the queue): it still has its one end.
  const unstarted: Run = {
    id: event.run_id ?? event.event_id,
    agent: event.agent_name ?? "agent",
    status: "running",
    attempt: 0,
    startedAt: at - event.duration_ms,
    endedAt: null,
    durationMs: null,
    limits: {},
    steps: [],
    text: "",
    textBlob: null,
    textMessageId: null,
    result: null,
    error: null,
    usage: null,
  };
  return patchRun(attachRun(turns, unstarted), unstarted.id, closed);
}
