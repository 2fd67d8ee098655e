/** What happened in a run, on one scale of time, without a word of its user or agent. */
import { bytes, duration, humanise } from "../core/format.ts";
import type { RunEvent } from "../core/ops.ts";

interface Span {
  readonly seq: number;
  readonly words: string;
  readonly from: number;
  readonly to: number;
  readonly state: "running" | "good" | "bad" | "point";
  readonly events: ReadonlyArray<RunEvent>;
}

/** Tools from their beginning to their end; everything else is a point. */
function spans(events: ReadonlyArray<RunEvent>, until: number): ReadonlyArray<Span> {
  const done = new Map(
    events
      .filter((each) => each.type === "tool_completed" && each.call_id !== null)
      .map((each) => [each.call_id, each]),
  );
  const found: Span[] = [];
  for (const event of events) {
    if (event.type === "tool_completed" && event.call_id !== null) continue;
    const from = Date.parse(event.at);
    if (event.type === "tool_executing") {
      const end = done.get(event.call_id);
      found.push({
        seq: event.seq,
        words: humanise(event.tool ?? "tool"),
        from,
        to: end ? Date.parse(end.at) : until,
        state: end === undefined ? "running" : end.success === false ? "bad" : "good",
        events: end ? [event, end] : [event],
      });
    } else
      found.push({
        seq: event.seq,
        words: humanise(event.type),
        from,
        to: from,
        state: event.type === "agent_completed" && event.success === false ? "bad" : "point",
        events: [event],
      });
  }
  return found;
}

export function Waterfall({ events, until }: { readonly events: ReadonlyArray<RunEvent>; readonly until: number }) {
  const rows = spans(events, until);
  const first = rows[0]?.from ?? until;
  const length = Math.max(1, Math.max(until, ...rows.map((row) => row.to)) - first);
  return (
    <ol className="waterfall">
      {rows.map((row) => (
        <li key={row.seq}>
          <details>
            <summary>
              <span className="waterfall-words">
                {row.words} {row.events[0]?.agent && <span className="quiet">{humanise(row.events[0].agent)}</span>}
              </span>
              <svg
                className="waterfall-bar"
                viewBox="0 0 1000 12"
                preserveAspectRatio="none"
                aria-hidden="true"
                data-state={row.state}
              >
                <rect
                  x={((row.from - first) / length) * 994}
                  y="1"
                  rx="2"
                  width={Math.max(6, ((row.to - row.from) / length) * 994)}
                  height="10"
                />
              </svg>
              <span className="figure waterfall-time">
                {row.to > row.from ? duration(row.to - row.from) : `+${duration(row.from - first)}`}
              </span>
            </summary>
            {row.events.map((event) => (
              <pre key={event.seq} tabIndex={0}>
                {JSON.stringify(event, null, 2)}
              </pre>
            ))}
            <p className="quiet">
              {bytes(row.events.reduce((sum, each) => sum + each.bytes, 0))} stored. What was said and found is its
              user's alone.
            </p>
          </details>
        </li>
      ))}
    </ol>
  );
}
