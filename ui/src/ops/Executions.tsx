/** Executions: those of this moment live, those that ended page by page, circuits that are open, and one in detail. */
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { bytes, duration, humanise, plural } from "../core/format.ts";
import { ops, type ActiveExecution, type EndedExecution, type Execution, type RunEvent } from "../core/ops.ts";
import type { LiveExecution } from "../core/protocol.gen.ts";
import { chatPath, opsPath, router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { CopyButton, IconButton } from "../components/controls.tsx";
import { BackIcon } from "../components/icons.tsx";
import { Asking, Chip, DataTable, Loaded, More, Panel, ShortId, StateChip, type Column, type Tone } from "./parts.tsx";
import { usePolled, useQuery, within, type Live } from "./state.ts";

const BEAT_SECONDS = 5;
/** What can be asked for, in the words of the chips. */
const STATES: ReadonlyArray<readonly [string, string]> = [
  ["pending", "Waiting"],
  ["running", "Running"],
  ["completed", "Succeeded"],
  ["failed", "Failed"],
  ["timeout", "Timed out"],
  ["dead", "Stalled or died"],
  ["cancelled", "Cancelled"],
];

/** One row, whether it is live, of another process, or over. */
interface Row {
  readonly id: string;
  readonly user: string;
  readonly agent: string;
  readonly state: string;
  readonly created: number;
  readonly started: number | null;
  readonly seconds: number | null;
  readonly heartbeat: number | null;
  readonly worker: string | null;
  readonly step: string;
  readonly over: boolean;
}

function active(each: LiveExecution | ActiveExecution): Row {
  return {
    id: each.id,
    user: each.user_id,
    agent: each.agent,
    state: each.paused ? "waits for a person" : each.state,
    created: Date.parse(each.created_at),
    started: each.started_at === null ? null : Date.parse(each.started_at),
    seconds: each.started_at === null ? null : each.worked_seconds,
    heartbeat: each.heartbeat_age_seconds,
    worker: "worker" in each ? each.worker : null,
    step: each.phase,
    over: false,
  };
}

function ended(each: EndedExecution): Row {
  const [from, to] = [each.started_at ?? each.created_at, each.ended_at];
  return {
    id: each.id,
    user: each.user_id,
    agent: each.agent,
    state: each.status,
    created: Date.parse(each.created_at),
    started: each.started_at === null ? null : Date.parse(each.started_at),
    seconds: to === null ? null : (Date.parse(to) - Date.parse(from)) / 1000,
    heartbeat: null,
    worker: each.worker,
    step: each.attempt > 1 ? `attempt ${each.attempt}` : "",
    over: true,
  };
}

const beatTone = (age: number): Tone => (age > 5 * BEAT_SECONDS ? "bad" : age > 2 * BEAT_SECONDS ? "warn" : "good");

function Heartbeat({ age }: { readonly age: number | null }) {
  if (age === null) return <span className="quiet">–</span>;
  return (
    <Chip tone={beatTone(age)}>
      {age > 5 * BEAT_SECONDS ? `silent for ${duration(age * 1000)}` : `${age.toFixed(0)} s`}
    </Chip>
  );
}

const clock = (at: number): string => {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString();
};

export function ExecutionsPanel({ live, isLive }: { readonly live: Live; readonly isLive: boolean }) {
  const app = useApp();
  const [query, change] = useQuery();
  const filter = { state: query.get("state") ?? "", agent: query.get("agent") ?? "", user: query.get("user") ?? "" };
  const key = `executions ${filter.state} ${filter.agent} ${filter.user}`;
  const polled = usePolled(() => ops.executions(filter), key, isLive ? 5000 : null);
  const [older, setOlder] = useState<{
    readonly key: string;
    readonly rows: ReadonlyArray<EndedExecution>;
    readonly cursor: string | null;
  } | null>(null);
  const [busy, setBusy] = useState(false);
  const further = older?.key === key ? older : null;
  // One that is no longer pushed has ended: ask at once, instead of showing it nowhere until the next turn.
  const going = live.picture?.executions.map((each) => each.id).join(" ");
  const { reload } = polled;
  useEffect(() => {
    if (isLive && going !== undefined) reload();
  }, [isLive, going, reload]);
  const columns = useMemo<ReadonlyArray<Column<Row>>>(
    () => [
      {
        name: "Execution",
        cell: (row) => (
          <a href={within("executions", row.id, true)} onClick={follow}>
            <ShortId id={row.id} />
          </a>
        ),
      },
      { name: "Agent", cell: (row) => humanise(row.agent), by: (row) => row.agent },
      { name: "State", cell: (row) => <StateChip state={row.state} />, by: (row) => row.state },
      {
        name: "User",
        cell: (row) => (
          <button
            type="button"
            className="link-button"
            title="Only this user's"
            onClick={() => change({ user: row.user })}
          >
            <ShortId id={row.user} />
          </button>
        ),
        by: (row) => row.user,
        wide: true,
      },
      {
        name: "Started",
        cell: (row) =>
          row.started === null ? (
            <span className="quiet">not yet</span>
          ) : (
            <span className="moment">{clock(row.started)}</span>
          ),
        by: (row) => row.started ?? Infinity,
        wide: true,
      },
      {
        name: "Duration",
        cell: (row) => (row.seconds === null ? "–" : duration(row.seconds * 1000)),
        by: (row) => row.seconds ?? -1,
        align: "right",
      },
      {
        name: "Heartbeat",
        cell: (row) => <Heartbeat age={row.heartbeat} />,
        by: (row) => row.heartbeat ?? -1,
        align: "right",
      },
      { name: "Step", cell: (row) => humanise(row.step), wide: true },
      {
        name: "Worker",
        cell: (row) => (row.worker === null ? <span className="quiet">–</span> : <ShortId id={row.worker} />),
        wide: true,
      },
      {
        name: "",
        cell: (row) =>
          row.over ? null : (
            <StopButton
              id={row.id}
              about={`${humanise(row.agent)} ${row.id.slice(-6)}`}
              onDone={() => app.toast({ text: "The execution was asked to stop." })}
            />
          ),
      },
    ],
    [change, app],
  );
  return (
    <>
      <Panel
        title="Executions"
        actions={
          <div className="filters">
            <select
              className="input"
              aria-label="State"
              value={filter.state}
              onChange={(event) => change({ state: event.target.value })}
            >
              <option value="">All states</option>
              {STATES.map(([state, words]) => (
                <option key={state} value={state}>
                  {words}
                </option>
              ))}
            </select>
            <select
              className="input"
              aria-label="Agent"
              value={filter.agent}
              onChange={(event) => change({ agent: event.target.value })}
            >
              <option value="">All agents</option>
              {filter.agent !== "" && !app.agents?.items.some((agent) => agent.name === filter.agent) && (
                <option value={filter.agent}>{humanise(filter.agent)}</option>
              )}
              {(app.agents?.items ?? []).map((agent) => (
                <option key={agent.name} value={agent.name}>
                  {agent.title}
                </option>
              ))}
            </select>
            {filter.user !== "" && (
              <button type="button" className="quiet-button" onClick={() => change({ user: null })}>
                Only <ShortId id={filter.user} />: show all users
              </button>
            )}
          </div>
        }
      >
        <Loaded polled={polled}>
          {(data) => {
            const pushed = isLive && !live.stale && live.picture !== null ? live.picture.executions : null;
            const workers = new Map(data.active.map((each) => [each.id, each]));
            const matches = (row: LiveExecution): boolean =>
              (filter.state === "" ||
                row.state === filter.state ||
                (filter.state === "running" && row.state !== "pending")) &&
              (filter.agent === "" || row.agent === filter.agent) &&
              (filter.user === "" || row.user_id === filter.user);
            const current = new Set(pushed?.map((each) => each.id));
            // One that has just ended stays as it was until it is asked how, and so do those the push has left out.
            const now =
              pushed === null
                ? data.active
                : [
                    ...data.active.filter((each) => !current.has(each.id)),
                    ...pushed.filter(matches).map((each) => ({ ...workers.get(each.id), ...each })),
                  ];
            const endedRows = [...data.ended, ...(further?.rows ?? [])];
            const shown = new Set(now.map((each) => each.id));
            const rows = [...now.map(active).reverse(), ...endedRows.filter((each) => !shown.has(each.id)).map(ended)];
            const cursor = further === null ? data.next_cursor : further.cursor;
            return (
              <>
                {rows.length === 0 ? (
                  <p className="panel-empty">
                    No executions {filter.state || filter.agent || filter.user ? "with these filters" : "yet"}.
                  </p>
                ) : (
                  <DataTable
                    label="Executions"
                    columns={columns}
                    rows={rows}
                    id={(row) => row.id}
                    sort={query.get("sort")}
                    onSort={(sort) => change({ sort })}
                  />
                )}
                {cursor !== null && (
                  <More
                    busy={busy}
                    onMore={async () => {
                      setBusy(true);
                      try {
                        const next = await ops.executions({ ...filter, cursor });
                        setOlder({ key, rows: [...(further?.rows ?? []), ...next.ended], cursor: next.next_cursor });
                      } catch (error) {
                        app.failed(error);
                      }
                      setBusy(false);
                    }}
                  />
                )}
              </>
            );
          }}
        </Loaded>
      </Panel>
      <Panel title="Circuits" words="An agent or a host that fails too often is left alone for a while.">
        <Loaded
          polled={polled}
          empty={(data) => (data.breakers.length === 0 ? "No agent or host has been called yet." : null)}
        >
          {(data) => (
            <DataTable
              label="Circuits"
              rows={data.breakers}
              id={(row) => `${row.kind} ${row.name}`}
              columns={[
                { name: "Of", cell: (row) => `${humanise(row.kind)} ${row.name}` },
                {
                  name: "State",
                  cell: (row) => (
                    <Chip tone={row.state === "closed" ? "good" : row.state === "open" ? "bad" : "warn"}>
                      {row.state.replace("_", " ")}
                    </Chip>
                  ),
                },
                { name: "Failures, last minute", align: "right", cell: (row) => `${row.failures} of ${row.calls}` },
                { name: "Opened", align: "right", cell: (row) => `${row.trips} ×`, wide: true },
                {
                  name: "Why",
                  text: true,
                  cell: (row) =>
                    row.state === "closed"
                      ? ""
                      : `${row.reason ?? ""}${row.retry_after_seconds ? `; tried again in ${Math.ceil(row.retry_after_seconds)} s` : ""}`,
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
    </>
  );
}

/** An ordinary link that does not load the page again. */
export function follow(event: React.MouseEvent<HTMLAnchorElement>): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  router.go(event.currentTarget.pathname + event.currentTarget.search);
}

function StopButton({
  id,
  about,
  onDone,
}: {
  readonly id: string;
  readonly about?: string;
  readonly onDone: () => void;
}) {
  return (
    <Asking
      label="Stop"
      {...(about === undefined ? {} : { about })}
      title="Stop this execution?"
      words="Its user sees that it was cancelled. What it has written so far stays."
      confirm="Stop it"
      run={() => ops.stopExecution(id)}
      onDone={onDone}
    />
  );
}

export function ExecutionPage({ id, live }: { readonly id: string; readonly live: Live }) {
  const app = useApp();
  const now = live.picture?.executions.find((each) => each.id === id);
  const polled = usePolled(() => ops.execution(id), `execution ${id}`, 3000);
  const events = usePolled(() => ops.runEvents(id), `events ${id}`, polled.data?.ended_at === null ? 3000 : null);
  const over = polled.data?.ended_at ?? null;
  const { reload } = events;
  useEffect(() => {
    if (over !== null) reload();
  }, [over, reload]);
  return (
    <Panel
      title="Execution"
      words={<code>{id}</code>}
      back={
        <IconButton label="Back to executions" onClick={() => router.go(within("executions", null, true))}>
          <BackIcon />
        </IconButton>
      }
      actions={
        <>
          {polled.data !== null && over === null && (
            <StopButton id={id} onDone={() => app.toast({ text: "The execution was asked to stop." })} />
          )}
        </>
      }
    >
      <Loaded polled={polled}>
        {(data) => (
          <>
            <Facts
              data={data}
              heartbeat={now?.heartbeat_age_seconds ?? data.heartbeat_age_seconds}
              paused={now?.paused ?? false}
              mine={data.user_id === app.user.id}
            />
            {over === null && <HeartbeatStrip live={live} age={now?.heartbeat_age_seconds ?? null} />}
            {data.steps.length > 0 && <h3>Latest steps</h3>}
            {data.steps.length > 0 && (
              <ol className="phases">
                {data.steps.map((step, index) => (
                  <li key={`${step.at}-${index}`}>
                    <span className="figure quiet">{clock(Date.parse(step.at))}</span> {humanise(step.phase)}{" "}
                    {step.note && <span className="quiet">{step.note}</span>}
                  </li>
                ))}
              </ol>
            )}
          </>
        )}
      </Loaded>
      <h3>Timeline</h3>
      <Loaded polled={events} empty={(data) => (data.items.length === 0 ? "Nothing has happened yet." : null)}>
        {(data) => <Waterfall events={data.items} until={over === null ? Date.now() : Date.parse(over)} />}
      </Loaded>
    </Panel>
  );
}

const STRIP = 60;
/** Ages of the heartbeat in the last minute, as this page has seen them: a bar a second, higher the longer it was silent. */
function HeartbeatStrip({ live, age }: { readonly live: Live; readonly age: number | null }) {
  const [ages, setAges] = useState<ReadonlyArray<number>>([]);
  const at = live.picture?.at;
  const newest = useRef(age);
  newest.current = age;
  useEffect(() => {
    const seen = newest.current;
    if (at !== undefined && seen !== null) setAges((before) => [...before.slice(1 - STRIP), seen]);
  }, [at]);
  if (ages.length < 2) return null;
  const worst = Math.max(...ages);
  return (
    <figure className="beats">
      <figcaption className="quiet">
        Heartbeat in the last {plural(ages.length, "second")}: silent for {duration(worst * 1000)} at most
      </figcaption>
      <svg viewBox={`0 0 ${STRIP * 10} 30`} preserveAspectRatio="none" aria-hidden="true">
        {ages.map((each, index) => {
          const height = Math.max(3, Math.min(1, each / (5 * BEAT_SECONDS)) * 30);
          return (
            <rect
              key={index}
              data-tone={beatTone(each)}
              x={(STRIP - ages.length + index) * 10 + 1}
              width="8"
              y={30 - height}
              height={height}
            />
          );
        })}
      </svg>
    </figure>
  );
}

function Facts({
  data,
  heartbeat,
  paused,
  mine,
}: {
  readonly paused: boolean;
  readonly data: Execution;
  readonly heartbeat: number | null;
  readonly mine: boolean;
}) {
  const facts: ReadonlyArray<readonly [string, ReactNode]> = [
    ["State", <StateChip key="state" state={paused && data.ended_at === null ? "waits for a person" : data.status} />],
    ["Agent", humanise(data.agent)],
    [
      "User",
      <>
        <a href={opsPath("users", data.user_id)} onClick={follow}>
          <ShortId id={data.user_id} />
        </a>{" "}
        <CopyButton text={() => data.user_id} />
      </>,
    ],
    ["Created", new Date(data.created_at).toLocaleString()],
    ["Started", data.started_at === null ? "not yet" : new Date(data.started_at).toLocaleString()],
    ["Ended", data.ended_at === null ? "not yet" : new Date(data.ended_at).toLocaleString()],
    ["Attempt", data.attempt],
    ["Heartbeat", data.ended_at === null ? <Heartbeat age={heartbeat} /> : "–"],
    ["Worker", data.worker === null ? "–" : <ShortId id={data.worker} />],
    [
      "Thread",
      mine ? (
        <a href={chatPath(data.thread_id)} onClick={follow}>
          Open the conversation
        </a>
      ) : (
        <>
          <ShortId id={data.thread_id} /> <span className="quiet">its user's alone</span>
        </>
      ),
    ],
    ...(data.error === null ? [] : ([["Error", data.error]] as const)),
  ];
  return (
    <dl className="ops-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

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

function Waterfall({ events, until }: { readonly events: ReadonlyArray<RunEvent>; readonly until: number }) {
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
