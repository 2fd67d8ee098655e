/** What an agent did, step by step: its own steps, and those of each sub-agent under the sub-agent's name. */
import { memo, useId, useState, type ReactNode } from "react";
import { duration, humanise, oneLine, plural, pretty } from "../core/format.ts";
import { isBlob, type Run, type Step } from "../core/thread.ts";
import { CopyButton } from "./controls.tsx";
import { AgentIcon, CheckIcon, ChevronIcon, CrossIcon, HandIcon, MinusIcon, ThoughtIcon } from "./icons.tsx";
import { useNow } from "./Ticker.ts";

/** A thought that was over sooner was a remark: its duration says nothing. */
const BRIEF_MS = 50;

interface Section {
  readonly agent: string;
  readonly nested: boolean;
  readonly steps: ReadonlyArray<Step>;
}

/** The run's own steps in stretches, each sub-agent once, in the order in which they began. */
export function sections(run: Run): ReadonlyArray<Section> {
  const out: Array<{ agent: string; nested: boolean; steps: Step[] }> = [];
  for (const step of run.steps) {
    const nested = step.agent !== run.agent;
    const last = out.at(-1);
    const home = nested
      ? out.find((each) => each.nested && each.agent === step.agent)
      : last && !last.nested
        ? last
        : undefined;
    if (home) home.steps.push(step);
    else out.push({ agent: step.agent, nested, steps: [step] });
  }
  return out;
}

/** What the run is doing, in the words of its latest step. */
export function activity(run: Run): string {
  const step = run.steps.findLast((each) => each.status === "running") ?? null;
  if (run.text !== "" && (step === null || step.kind === "thinking")) return "Writing the answer";
  if (step === null) return run.steps.length === 0 ? "Started" : "Working";
  if (step.kind === "tool") return `Using ${humanise(step.tool).toLowerCase()}`;
  if (step.kind === "approval") return "Waiting for your approval";
  return step.thoughts.at(-1)?.text ?? "Thinking";
}

export const elapsed = (step: Step, now: number): number =>
  step.kind === "tool" && step.durationMs !== null
    ? step.durationMs
    : (step.endedAt ?? Math.max(now, step.startedAt)) - step.startedAt;

const STATUS_WORDS = { running: "running", done: "done", failed: "failed", stopped: "stopped" } as const;

export function StatusMark({
  status,
  kind,
}: {
  readonly status: Step["status"];
  readonly kind: Step["kind"] | "agent" | "run";
}) {
  let mark: ReactNode;
  if (status === "running") mark = kind === "approval" ? <HandIcon size={14} /> : <span className="pulse" />;
  else if (status === "failed") mark = <CrossIcon size={14} />;
  else if (status === "stopped") mark = <MinusIcon size={14} />;
  else if (kind === "thinking") mark = <ThoughtIcon size={14} />;
  else mark = <CheckIcon size={14} />;
  return (
    <span className="status-mark" data-status={status} data-kind={kind}>
      {mark}
    </span>
  );
}

export function Timeline({ run, offset }: { readonly run: Run; readonly offset: number }) {
  const now = useNow(run.status === "running") + offset;
  const end = run.endedAt ?? now;
  const scale = { from: run.startedAt, length: Math.max(1, end - run.startedAt) };
  return (
    <ol className="timeline" aria-label="Steps">
      {sections(run).map((section, index) =>
        section.nested ? (
          <SubAgent key={`${section.agent}-${index}`} section={section} run={run} now={now} scale={scale} />
        ) : (
          section.steps.map((step) => (
            <StepRow
              key={step.id}
              step={step}
              now={step.status === "running" ? now : 0}
              from={scale.from}
              length={scale.length}
            />
          ))
        ),
      )}
    </ol>
  );
}

interface Scale {
  readonly from: number;
  readonly length: number;
}

function SubAgent({
  section,
  run,
  now,
  scale,
}: {
  readonly section: Section;
  readonly run: Run;
  readonly now: number;
  readonly scale: Scale;
}) {
  const last = run.steps.at(-1);
  const busy =
    run.status === "running" &&
    (section.steps.some((step) => step.status === "running") || (last?.agent === section.agent && run.text === ""));
  const failed = section.steps.filter((step) => step.status === "failed").length;
  const stopped = section.steps.some((step) => step.status === "stopped");
  const from = section.steps[0]?.startedAt ?? scale.from;
  const to = busy ? now : Math.max(...section.steps.map((step) => step.endedAt ?? now));
  const tools = section.steps.filter((step) => step.kind === "tool").length;
  const status = busy ? "running" : stopped ? "stopped" : "done";
  return (
    <li className="sub-agent">
      <div className="sub-agent-head">
        <AgentIcon size={14} />
        <span className="sub-agent-name">{humanise(section.agent)}</span>
        <span className="visually-hidden">, sub-agent, {STATUS_WORDS[status]}</span>
        <span className="sub-agent-note">
          {tools > 0 && plural(tools, "tool")}
          {failed > 0 && `, ${failed} failed`}
        </span>
        <span className="time">{busy || to - from >= BRIEF_MS ? duration(to - from) : ""}</span>
      </div>
      <ol className="timeline" aria-label={`Steps of ${humanise(section.agent)}`}>
        {section.steps.map((step) => (
          <StepRow
            key={step.id}
            step={step}
            now={step.status === "running" ? now : 0}
            from={scale.from}
            length={scale.length}
          />
        ))}
      </ol>
    </li>
  );
}

/** `now` is 0 for a step that has ended, so that its row is not drawn again while others go on. */
const StepRow = memo(function StepRow({
  step,
  now,
  from,
  length,
}: { readonly step: Step; readonly now: number } & Scale) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const ms = elapsed(step, now);
  const start = Math.min(98, Math.max(0, ((step.startedAt - from) / length) * 100));
  const width = Math.min(100 - start, Math.max(2, (ms / length) * 100));
  return (
    <li className="step" data-status={step.status} data-kind={step.kind}>
      <button
        type="button"
        className="step-row"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        <StatusMark status={step.status} kind={step.kind} />
        <span className="step-words">
          <StepWords step={step} ms={ms} />
          <span className="visually-hidden">, {STATUS_WORDS[step.status]}</span>
        </span>
        <svg className="step-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect className="step-bar-track" width="100" height="4" />
          <rect className="step-bar-fill" x={start} width={width} height="4" />
        </svg>
        <span className="time">
          {step.kind === "thinking" && step.status !== "running" && ms < BRIEF_MS ? "" : duration(ms)}
        </span>
        <ChevronIcon size={12} className="chevron" />
      </button>
      {step.kind === "tool" && step.status === "failed" && (
        <p className="step-problem">{step.error?.message ?? "The tool failed without saying why."}</p>
      )}
      {open && (
        <div className="step-details" id={id}>
          <StepDetails step={step} />
        </div>
      )}
    </li>
  );
});

function StepWords({ step, ms }: { readonly step: Step; readonly ms: number }) {
  if (step.kind === "thinking") {
    const thought = step.thoughts.at(-1)?.text ?? "";
    return (
      <>
        <span className="step-label">{step.status === "running" ? "Thinking" : "Thought"}</span>
        <span className="step-note">{thought}</span>
      </>
    );
  }
  if (step.kind === "approval") {
    return (
      <>
        <span className="step-label">
          {step.decision === null
            ? "Approval needed"
            : step.decision === "approved"
              ? "Approved"
              : humanise(step.decision)}
        </span>
        <span className="step-note">{step.prompt}</span>
      </>
    );
  }
  const note =
    step.status === "running"
      ? ms > 60_000
        ? "taking long, still at work"
        : ms > 10_000
          ? "still working"
          : (step.purpose ?? parametersLine(step.parameters))
      : outcome(step.results) || step.purpose || parametersLine(step.parameters);
  return (
    <>
      <code className="step-tool">{step.tool}</code>
      <span className="step-note">
        {step.status === "failed" ? (step.purpose ?? parametersLine(step.parameters)) : note}
      </span>
    </>
  );
}

const parametersLine = (value: unknown): string => (isBlob(value) ? "large input" : oneLine(value));
/** The plain figures of a result say most; what is nested is in the details. */
function outcome(value: unknown): string {
  if (isBlob(value)) return "large result";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return oneLine(value);
  return oneLine(Object.fromEntries(Object.entries(value).filter(([, each]) => typeof each !== "object")));
}

function StepDetails({ step }: { readonly step: Step }) {
  if (step.kind === "thinking") {
    return (
      <ol className="thoughts">
        {step.thoughts.map((thought, index) => (
          <li key={index}>{thought.text}</li>
        ))}
      </ol>
    );
  }
  if (step.kind === "approval")
    return (
      <p className="step-purpose">
        {step.decision === null
          ? step.prompt
          : `${step.prompt} Decision: ${step.decision}${step.by === "timeout" ? ", by timeout" : ""}.`}
      </p>
    );
  return (
    <>
      {step.purpose && <p className="step-purpose">{step.purpose}</p>}
      <Value label="Parameters" value={step.parameters} />
      {step.status === "failed" ? (
        <Value label="Error" value={step.error} />
      ) : (
        step.status === "done" && <Value label="Result" value={step.results} />
      )}
    </>
  );
}

export function Value({ label, value }: { readonly label: string; readonly value: unknown }) {
  if (value === null || value === undefined) return null;
  if (isBlob(value)) {
    return (
      <p className="step-purpose">
        {label}:{" "}
        <a href={`/api/blobs/${encodeURIComponent(value.$blob)}`}>download ({Math.ceil(value.size / 1024)} KiB)</a>
      </p>
    );
  }
  return (
    <div className="value">
      <div className="value-head">
        <span>{label}</span>
        <CopyButton text={() => (typeof value === "string" ? value : JSON.stringify(value, null, 2))} />
      </div>
      <pre tabIndex={0} role="group" aria-label={label}>
        {pretty(value)}
      </pre>
    </div>
  );
}
