/** Executions: those of this moment live, those that ended page by page, and which circuits are open. */
import { useEffect } from "react";
import type { Page } from "../core/api.ts";
import { duration, humanise } from "../core/format.ts";
import { ops, type ActiveExecution, type EndedExecution, type Executions } from "../core/ops.ts";
import type { LiveExecution } from "../core/protocol.gen.ts";
import { useApp } from "../components/app.ts";
import { Circuits, OpenCircuits } from "./Circuits.tsx";
import { StopButton } from "./Execution.tsx";
import { Heartbeat } from "./Heartbeat.tsx";
import { Choice, DataTable, Link, Loaded, Moment, More, Panel, ShortId, StateChip, type Column } from "./parts.tsx";
import { usePages, usePolled, useQuery, within, type Live } from "./state.ts";

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
  readonly started: string | null;
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
    started: each.started_at,
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
    started: each.started_at,
    seconds: to === null ? null : (Date.parse(to) - Date.parse(from)) / 1000,
    heartbeat: null,
    worker: each.worker,
    step: each.attempt > 1 ? `attempt ${each.attempt}` : "",
    over: true,
  };
}

/** What the list is narrowed to; empty is everything. */
interface Filter {
  readonly state: string;
  readonly agent: string;
  readonly user: string;
  readonly thread: string;
}

const matches = (filter: Filter, row: LiveExecution): boolean =>
  (filter.state === "" || row.state === filter.state || (filter.state === "running" && row.state !== "pending")) &&
  (filter.agent === "" || row.agent === filter.agent) &&
  (filter.user === "" || row.user_id === filter.user) &&
  (filter.thread === "" || row.thread_id === filter.thread);

export function ExecutionsPanel({ live, isLive }: { readonly live: Live; readonly isLive: boolean }) {
  const [query, change] = useQuery();
  const asked = (name: keyof Filter): string => query.get(name) ?? "";
  const filter = { state: asked("state"), agent: asked("agent"), user: asked("user"), thread: asked("thread") };
  const key = `executions ${Object.values(filter).join(" ")}`;
  const polled = usePolled(() => ops.executions(filter), key, isLive ? 5000 : null);
  const pages = usePages(key, polled.data && over(polled.data), async (cursor) =>
    over(await ops.executions({ ...filter, cursor })),
  );
  // One that is no longer pushed has ended: ask at once, instead of showing it nowhere until the next turn.
  const going = live.picture?.executions.map((each) => each.id).join(" ");
  const { reload } = polled;
  useEffect(() => {
    if (isLive && going !== undefined) reload();
  }, [isLive, going, reload]);
  const breakers = polled.data?.breakers;
  return (
    <>
      {breakers && <OpenCircuits breakers={breakers} />}
      <Panel title="Executions" actions={<Filters filter={filter} onChange={change} />}>
        <Loaded polled={polled}>
          {(data) => {
            const pushed = isLive && !live.stale && live.picture !== null ? live.picture.executions : null;
            const rows = merged(data.active, pushed, pages.rows, filter);
            return rows.length === 0 ? (
              <p className="panel-empty">
                No executions {Object.values(filter).some(Boolean) ? "with these filters" : "yet"}.
              </p>
            ) : (
              <DataTable
                label="Executions"
                columns={columns((user) => change({ user }))}
                rows={rows}
                id={(row) => row.id}
                sort={query.get("sort")}
                onSort={(sort) => change({ sort })}
              />
            );
          }}
        </Loaded>
        <More of={pages} />
      </Panel>
      {breakers && <Circuits breakers={breakers} />}
    </>
  );
}

const over = ({ ended: items, next_cursor }: Executions): Page<EndedExecution> => ({ items, next_cursor });

/** One list of what is pushed, and of what was asked for: active ones, and those that are over. */
function merged(
  asked: ReadonlyArray<ActiveExecution>,
  pushed: ReadonlyArray<LiveExecution> | null,
  gone: ReadonlyArray<EndedExecution>,
  filter: Filter,
): ReadonlyArray<Row> {
  const known = new Map(asked.map((each) => [each.id, each]));
  const live = new Set(pushed?.map((each) => each.id));
  const now =
    pushed === null
      ? asked
      : [
          // One that has just ended stays as it was until it is asked how, and so do those the push has left out.
          ...asked.filter((each) => !live.has(each.id)),
          ...pushed.filter((each) => matches(filter, each)).map((each) => ({ ...known.get(each.id), ...each })),
        ];
  const going = new Set(now.map((each) => each.id));
  return [...now.map(active).reverse(), ...gone.filter((each) => !going.has(each.id)).map(ended)];
}

function columns(onlyOf: (user: string) => void): ReadonlyArray<Column<Row>> {
  return [
    {
      name: "Execution",
      cell: (row) => (
        <Link to={within("executions", row.id, true)}>
          <ShortId id={row.id} />
        </Link>
      ),
    },
    { name: "Agent", cell: (row) => humanise(row.agent), by: (row) => row.agent },
    { name: "State", cell: (row) => <StateChip state={row.state} />, by: (row) => row.state },
    {
      name: "User",
      cell: (row) => (
        <button type="button" className="link-button" title="Only this user's" onClick={() => onlyOf(row.user)}>
          <ShortId id={row.user} />
        </button>
      ),
      by: (row) => row.user,
      wide: true,
    },
    {
      name: "Started",
      cell: (row) => <Moment at={row.started} none="not yet" />,
      by: (row) => (row.started === null ? Infinity : Date.parse(row.started)),
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
        row.over ? null : <StopButton id={row.id} about={`${humanise(row.agent)} ${row.id.slice(-6)}`} />,
    },
  ];
}

type Change = ReturnType<typeof useQuery>[1];

function Filters({ filter, onChange }: { readonly filter: Filter; readonly onChange: Change }) {
  const known = (useApp().agents?.items ?? []).map((agent) => [agent.name, agent.title] as const);
  const gone = filter.agent !== "" && !known.some(([name]) => name === filter.agent);
  const agents = gone ? [[filter.agent, humanise(filter.agent)] as const, ...known] : known;
  return (
    <div className="filters">
      <Choice
        label="State"
        all="All states"
        value={filter.state}
        options={STATES}
        onChange={(state) => onChange({ state })}
      />
      <Choice
        label="Agent"
        all="All agents"
        value={filter.agent}
        options={agents}
        onChange={(agent) => onChange({ agent })}
      />
      {(["user", "thread"] as const).map(
        (name) =>
          filter[name] !== "" && (
            <button key={name} type="button" className="quiet-button" onClick={() => onChange({ [name]: null })}>
              Only <ShortId id={filter[name]} />: show all {name}s
            </button>
          ),
      )}
    </div>
  );
}
