/** Everything a run recorded, beside the conversation: facts, the whole timeline, the result. */
import { duration, humanise } from "../core/format.ts";
import { isBlob, type Run } from "../core/thread.ts";
import { useAgentTitle } from "./app.ts";
import { CopyButton, IconButton } from "./controls.tsx";
import { CloseIcon } from "./icons.tsx";
import { Timeline, Value } from "./Timeline.tsx";
import { outcome } from "./TurnRow.tsx";

function limit(name: string, value: number): readonly [string, string] {
  if (name === "seconds") return ["Time limit", duration(value * 1000)];
  if (name === "cost_usd") return ["Cost limit", `$${value.toFixed(2)}`];
  return [`Limit: ${humanise(name).toLowerCase()}`, value.toLocaleString("en")];
}

/** Without `onClose` it stands in a dialog, which has the heading and the button of its own. */
export function RunDetails({
  run,
  offset,
  onClose,
}: {
  readonly run: Run;
  readonly offset: number;
  readonly onClose?: () => void;
}) {
  const title = useAgentTitle(run.agent);
  const facts: ReadonlyArray<readonly [string, string]> = [
    ["Agent", title],
    ["Outcome", outcome(run)],
    ["Started", new Date(run.startedAt).toLocaleString()],
    ["Attempt", String(run.attempt)],
    ...(run.usage && run.usage.input_tokens + run.usage.output_tokens > 0
      ? ([
          [
            "Tokens",
            `${run.usage.input_tokens.toLocaleString("en")} in, ${run.usage.output_tokens.toLocaleString("en")} out`,
          ],
        ] as const)
      : []),
    ...(run.usage && run.usage.cost_usd > 0 ? ([["Cost", `$${run.usage.cost_usd.toFixed(4)}`]] as const) : []),
    ...Object.entries(run.limits).map(([name, value]) => limit(name, value)),
  ];
  return (
    <div className="details">
      {onClose && (
        <div className="details-head">
          <h2>Run details</h2>
          <IconButton label="Close details" onClick={onClose}>
            <CloseIcon />
          </IconButton>
        </div>
      )}
      <div className="details-body">
        <dl className="facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
          <div>
            <dt>Run</dt>
            <dd className="fact-id">
              <code>{run.id}</code>
              <CopyButton text={() => run.id} />
            </dd>
          </div>
        </dl>
        <h3>Timeline</h3>
        {run.steps.length > 0 ? (
          <Timeline run={run} offset={offset} />
        ) : (
          <p className="details-note">No steps were recorded.</p>
        )}
        {run.error && <Value label="Error" value={run.error} />}
        {run.result !== null && run.result !== undefined && (
          <>
            <h3>Result</h3>
            <Value label={isBlob(run.result) ? "Result" : "JSON"} value={run.result} />
          </>
        )}
      </div>
    </div>
  );
}
