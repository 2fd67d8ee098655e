/** A question and its answer: bubble, run card, approvals, Markdown, and what can be done with the answer. */
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { blobValue } from "../core/api.ts";
import { chartsOf, suggestionsOf } from "../core/chart.ts";
import type { Pending } from "../core/client.ts";
import type { Thumb } from "../core/feedback.ts";
import { bytes, duration, plural } from "../core/format.ts";
import type { Attachment } from "../core/protocol.gen.ts";
import { isBlob, type ApprovalStep, type Run, type Turn } from "../core/thread.ts";
import { ApprovalCard } from "./ApprovalCard.tsx";
import { useAgentTitle, useApp } from "./app.ts";
import { Button, CopyButton, Spinner } from "./controls.tsx";
import {
  AlertIcon,
  CheckIcon,
  ChevronIcon,
  ClockIcon,
  CrossIcon,
  FileIcon,
  MinusIcon,
  PanelIcon,
  RetryIcon,
} from "./icons.tsx";
import { Markdown } from "./Markdown.tsx";
import { FeedbackForm, Thumbs } from "./Thumbs.tsx";
import { useNow } from "./Ticker.ts";
import { activity, Timeline } from "./Timeline.tsx";

const COLLAPSE_AFTER_MS = 1000;

export interface TurnActions {
  ask(text: string): void;
  again(turn: Turn): void;
  details(runId: string): void;
}

export const TurnRow = memo(function TurnRow({
  turn,
  position,
  last,
  offset,
  actions,
}: {
  readonly turn: Turn;
  readonly position: number;
  readonly last: boolean;
  readonly offset: number;
  readonly actions: TurnActions;
}) {
  const { question, run } = turn;
  return (
    <div className="turn" data-last={last}>
      {question && <QuestionBubble content={question.content} attachments={question.attachments} />}
      {run ? (
        <Answer turn={turn} run={run} last={last} offset={offset} actions={actions} />
      ) : (
        question && <Queued since={question.at} offset={offset} position={position} />
      )}
    </div>
  );
});

export function QuestionBubble({
  content,
  attachments,
  note,
}: {
  readonly content: string;
  readonly attachments: ReadonlyArray<Attachment>;
  readonly note?: React.ReactNode;
}) {
  return (
    <article className="question" aria-label="You">
      {attachments.length > 0 && (
        <ul className="files" aria-label="Attachments">
          {attachments.map((file) => (
            <li key={file.id}>
              <a className="file" href={`/api/files/${encodeURIComponent(file.id)}`} download={file.name}>
                <FileIcon />
                <span className="file-name">{file.name}</span>
                <span className="file-size">{bytes(file.size)}</span>
              </a>
            </li>
          ))}
        </ul>
      )}
      {content !== "" && <div className="bubble">{content}</div>}
      {note}
    </article>
  );
}

/** A message on its way. */
export function PendingRow({
  pending,
  onRetry,
  onDiscard,
}: {
  readonly pending: Pending;
  readonly onRetry: () => void;
  readonly onDiscard: () => void;
}) {
  const note =
    pending.status === "failed" ? (
      <p className="question-note problem" role="alert">
        <AlertIcon size={14} /> Not sent. {pending.problem}
        <button type="button" className="link-button" onClick={onRetry}>
          Retry
        </button>
        <button type="button" className="link-button" onClick={onDiscard}>
          Discard
        </button>
      </p>
    ) : (
      <p className="question-note">
        {pending.status === "waiting"
          ? "Sent when the connection is back"
          : pending.status === "sending"
            ? "Sending"
            : "Sent"}
      </p>
    );
  return (
    <div className="turn" data-pending={pending.status}>
      <QuestionBubble content={pending.content} attachments={pending.attachments} note={note} />
    </div>
  );
}

function Queued({
  since,
  offset,
  position,
}: {
  readonly since: number;
  readonly offset: number;
  readonly position: number;
}) {
  const waiting = useNow(true) + offset - since;
  return (
    <div className="run">
      <div className="run-head run-queued">
        <ClockIcon />
        <span className="run-words">
          <span className="run-agent">Queued</span>
          <span className="run-now">
            {position > 1 ? `number ${position} in line` : "starts when a worker is free"}
          </span>
        </span>
        <span className="time">{waiting > 500 ? duration(waiting) : ""}</span>
      </div>
    </div>
  );
}

function Answer({
  turn,
  run,
  last,
  offset,
  actions,
}: {
  readonly turn: Turn;
  readonly run: Run;
  readonly last: boolean;
  readonly offset: number;
  readonly actions: TurnActions;
}) {
  const running = run.status === "running";
  const title = useAgentTitle(run.agent);
  const whole = useBlob(run.textBlob?.$blob ?? null);
  const text = typeof whole === "string" ? whole : run.text;
  const result = useBlob(isBlob(run.result) ? run.result.$blob : null) ?? run.result;
  const charts = useMemo(() => chartsOf(result), [result]);
  const suggestions = last && !running ? suggestionsOf(result) : [];
  const [commenting, setCommenting] = useState<Thumb | null>(null);
  const waiting = run.steps.filter(
    (step): step is ApprovalStep => step.kind === "approval" && step.status === "running",
  );
  return (
    <article className="answer" aria-label={`Answer of ${title}`} aria-busy={running}>
      <RunCard run={run} offset={offset} />
      {running && waiting.map((step) => <ApprovalCard key={step.id} step={step} offset={offset} />)}
      {text !== "" && <Markdown text={text} charts={charts} growing={running} />}
      {!running && run.status !== "succeeded" && (
        <Ending run={run} onAgain={turn.question ? () => actions.again(turn) : null} />
      )}
      {!running && (
        <div className="answer-foot">
          {text !== "" && <CopyButton text={() => text} />}
          {turn.question && run.status === "succeeded" && (
            <button type="button" className="quiet-button" onClick={() => actions.again(turn)}>
              <RetryIcon size={14} />
              Retry
            </button>
          )}
          <button type="button" className="quiet-button" onClick={() => actions.details(run.id)}>
            <PanelIcon size={14} />
            Details
          </button>
          {run.status !== "cancelled" && <Thumbs runId={run.id} onGiven={setCommenting} />}
          <span className="answer-cost">{cost(run)}</span>
        </div>
      )}
      {commenting !== null && (
        <FeedbackForm key={commenting} runId={run.id} rating={commenting} onClose={() => setCommenting(null)} />
      )}
      {suggestions.length > 0 && (
        <ul className="suggestions" aria-label="Suggested next messages">
          {suggestions.map((each) => (
            <li key={each}>
              <button type="button" onClick={() => actions.ask(each)}>
                {each}
              </button>
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}

function cost(run: Run): string {
  const parts = [run.durationMs === null ? "" : duration(run.durationMs)];
  const tokens = run.usage ? run.usage.input_tokens + run.usage.output_tokens : 0;
  if (tokens > 0) parts.push(`${tokens.toLocaleString("en")} tokens`);
  if (run.usage && run.usage.cost_usd > 0)
    parts.push(`$${run.usage.cost_usd.toFixed(run.usage.cost_usd < 0.1 ? 4 : 2)}`);
  return parts.filter(Boolean).join(" · ");
}

export function outcome(run: Run): string {
  const tools = run.steps.filter((step) => step.kind === "tool");
  const failed = tools.filter((step) => step.status === "failed").length;
  const time = duration(run.durationMs ?? (run.endedAt ?? run.startedAt) - run.startedAt);
  const words = {
    running: "Running",
    succeeded: "Done in",
    failed: "Failed after",
    cancelled: "Stopped after",
    timed_out: "Timed out after",
    stalled: "Stalled after",
    died: "Died after",
  }[run.status];
  return [
    `${words} ${time}`,
    tools.length > 0 ? plural(tools.length, "tool") : "",
    failed > 0 ? `${failed} failed` : "",
  ]
    .filter(Boolean)
    .join(", ");
}

function RunCard({ run, offset }: { readonly run: Run; readonly offset: number }) {
  const running = run.status === "running";
  const title = useAgentTitle(run.agent);
  // Null: as the run goes. True and false: as the user wants it.
  const [wanted, setWanted] = useState<boolean | null>(null);
  const [settled, setSettled] = useState(!running);
  const now = useNow(running) + offset;
  useEffect(() => {
    if (running) return setSettled(false);
    const timer = setTimeout(() => setSettled(true), COLLAPSE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [running]);
  const open = wanted ?? !settled;
  return (
    <section className="run" data-status={run.status} data-open={open} aria-label={`Run of ${title}`}>
      <button
        type="button"
        className="run-head"
        aria-expanded={open}
        data-run-toggle=""
        onClick={() => setWanted(!open)}
      >
        <RunMark status={run.status} />
        <span className="run-words">
          <span className="run-agent">{title}</span>
          <span className="run-now">{running ? activity(run) : outcome(run)}</span>
        </span>
        {run.attempt > 1 && <span className="badge">attempt {run.attempt}</span>}
        {running && <span className="time">{duration(now - run.startedAt)}</span>}
        {run.steps.length > 0 && <ChevronIcon size={14} className="chevron" />}
      </button>
      {open && run.steps.length > 0 && <Timeline run={run} offset={offset} />}
    </section>
  );
}

function RunMark({ status }: { readonly status: Run["status"] }) {
  return (
    <span className="run-mark" data-status={status}>
      {status === "running" ? (
        <Spinner />
      ) : status === "succeeded" ? (
        <CheckIcon size={14} />
      ) : status === "cancelled" ? (
        <MinusIcon size={14} />
      ) : (
        <CrossIcon size={14} />
      )}
    </span>
  );
}

const ENDINGS: Record<Exclude<Run["status"], "running" | "succeeded">, string> = {
  failed: "The run failed",
  cancelled: "Stopped by you",
  timed_out: "The run took longer than it may",
  stalled: "The run stopped answering and was ended",
  died: "The worker of this run was lost",
};

function Ending({ run, onAgain }: { readonly run: Run; readonly onAgain: (() => void) | null }) {
  if (run.status === "running" || run.status === "succeeded") return null;
  const cancelled = run.status === "cancelled";
  const time = duration(run.durationMs ?? 0);
  return (
    <div className={cancelled ? "ending" : "ending problem"} role={cancelled ? undefined : "alert"}>
      {cancelled ? <MinusIcon /> : <AlertIcon />}
      <div className="ending-words">
        <strong>
          {ENDINGS[run.status]} after {time}.
        </strong>
        {run.error && !cancelled && <span>{run.error.message}</span>}
        {!cancelled && (
          <span className="ending-id">
            Run <code>{run.id}</code>
            {run.error && (
              <>
                , code <code>{run.error.code}</code>
              </>
            )}
          </span>
        )}
      </div>
      {onAgain && (
        <Button onClick={onAgain}>
          <RetryIcon size={14} />
          Retry
        </Button>
      )}
    </div>
  );
}

/** The value behind a blob reference; null until it is here. */
function useBlob(id: string | null): unknown {
  const app = useApp();
  const [value, setValue] = useState<unknown>(null);
  const failed = useRef(app.failed);
  failed.current = app.failed;
  useEffect(() => {
    if (id === null) return;
    let gone = false;
    blobValue(id).then(
      (found) => !gone && setValue(found),
      (error: unknown) => !gone && failed.current(error),
    );
    return () => {
      gone = true;
    };
  }, [id]);
  return id === null ? null : value;
}
