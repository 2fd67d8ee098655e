/** The first panel: tiles of this moment, and pictures of the chosen range. */
import { useEffect, useId, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { bytes, duration } from "../core/format.ts";
import { ops, type Series, type ServerHistory } from "../core/ops.ts";
import type { Operations, OperationsTile } from "../core/protocol.gen.ts";
import type { TimePlot } from "../core/timeplot.ts";
import { onTheme, themeNow } from "../components/ChartFigure.tsx";
import { ChartIcon, TableIcon } from "../components/icons.tsx";
import { Loaded } from "./parts.tsx";
import { usePolled, useRange, type Live } from "./state.ts";

const HEIGHT = 180;
const TABLE_ROWS = 60;

const TILES: Readonly<
  Record<string, { readonly title: string; readonly series: string | null; readonly high: string }>
> = {
  active_users: { title: "Active users", series: "active_users", high: "high" },
  user_sessions: { title: "User sessions", series: "user_sessions", high: "high" },
  db_in_use: { title: "Database connections", series: "db_in_use", high: "high" },
  runs_running: { title: "Running", series: "runs_running", high: "high" },
  runs_queued: { title: "Waiting", series: "runs_queued", high: "waits long" },
  failures: { title: "Failures, 15 min", series: "failures", high: "some" },
  alerts_open: { title: "Open alerts", series: "alerts_open", high: "look" },
};
const FAILURES = ["runs_failed", "runs_timed_out", "runs_stalled", "runs_died"];

interface ChartPlan {
  readonly title: string;
  readonly series: ReadonlyArray<readonly [string, string]>;
}
const CHARTS: ReadonlyArray<ChartPlan> = [
  {
    title: "Executions",
    series: [
      ["runs_running", "running"],
      ["runs_queued", "waiting"],
    ],
  },
  {
    title: "Executions that ended",
    series: [
      ["runs_succeeded", "succeeded"],
      ["runs_failed", "failed"],
      ["runs_cancelled", "cancelled"],
      ["runs_timed_out", "timed out"],
      ["runs_stalled", "stalled"],
      ["runs_died", "died"],
    ],
  },
  {
    title: "Duration of executions",
    series: [
      ["run_seconds_p50", "median"],
      ["run_seconds_p95", "95th percentile"],
    ],
  },
  {
    title: "Database connections",
    series: [
      ["db_in_use", "in use"],
      ["db_free", "free"],
      ["db_waiting", "waited for"],
    ],
  },
  {
    title: "Connections of users",
    series: [
      ["sockets", "sockets"],
      ["streams", "streams"],
    ],
  },
  {
    title: "Errors",
    series: [
      ["http_errors", "requests"],
      ["command_errors", "commands"],
      ["db_errors", "database"],
      ["refusals", "refused access"],
      ["sign_ins_refused", "refused sign-ins"],
    ],
  },
  {
    title: "How fast the server is",
    series: [
      ["append_p99", "storing an event, p99"],
      ["loop_lag_p99", "loop lag, p99"],
      ["db_wait_p95", "database wait, p95"],
    ],
  },
  { title: "Memory", series: [["memory_bytes", "resident"]] },
];

export function Overview({ live, isLive }: { readonly live: Live; readonly isLive: boolean }) {
  const minutes = useRange();
  const history = usePolled(
    () => ops.history(minutes),
    `history ${minutes}`,
    isLive ? (minutes <= 360 ? 10_000 : 60_000) : null,
  );
  const once = usePolled(ops.overview, "overview", null);
  const picture = live.picture ?? once.data;
  return (
    <>
      <div className="tiles" aria-label="Now" role="group" data-stale={live.stale}>
        {picture === null
          ? TILE_NAMES.map((name) => <div key={name} className="tile skeleton" />)
          : picture.tiles.map((tile) => <Tile key={tile.name} tile={tile} history={history.data} />)}
      </div>
      <Loaded polled={history}>
        {(data) => (
          <div className="charts">
            {CHARTS.map((plan) => (
              <LiveChart
                key={plan.title}
                plan={plan}
                history={data}
                picture={isLive && !live.stale ? live.picture : null}
              />
            ))}
          </div>
        )}
      </Loaded>
    </>
  );
}
const TILE_NAMES = Object.keys(TILES);

function Tile({ tile, history }: { readonly tile: OperationsTile; readonly history: ServerHistory | null }) {
  const about = TILES[tile.name];
  const points = useMemo(() => (history && about?.series ? line(history, about.series) : []), [history, about]);
  const words = { ok: "ok", high: about?.high ?? "high", full: "full", alert: "critical" }[tile.word];
  return (
    <div className="tile" data-word={tile.word}>
      <span className="tile-title">{about?.title ?? tile.name}</span>
      <span className="tile-value figure">
        {tile.value === null ? "–" : tile.value.toLocaleString("en")}
        {tile.of !== null && tile.of !== undefined && <small> / {tile.of.toLocaleString("en")}</small>}
      </span>
      <span className="tile-word">{words}</span>
      <Sparkline points={points} />
    </div>
  );
}

function line(history: ServerHistory, name: string): ReadonlyArray<number | null> {
  const named = (wanted: string): ReadonlyArray<number | null> =>
    history.series.find((each) => each.name === wanted)?.values ?? [];
  if (name !== "failures") return named(name);
  const parts = FAILURES.map(named);
  return history.times.map((_, index) => {
    const known = parts.map((each) => each[index] ?? null);
    return known.every((each) => each === null) ? null : known.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  });
}

const SPARKS = 60;
/** The course of a figure, drawn small; the charts below have the numbers. */
function Sparkline({ points: all }: { readonly points: ReadonlyArray<number | null> }) {
  // What was before the server's first step is no part of the course.
  const points = all.slice(
    Math.max(
      0,
      all.findIndex((each) => each !== null),
    ),
  );
  const size = Math.max(1, Math.ceil(points.length / SPARKS));
  const shown: number[] = [];
  for (let at = 0; at < points.length; at += size) {
    const known = points.slice(at, at + size).filter((each) => each !== null);
    if (known.length > 0) shown.push(Math.max(...known));
  }
  if (shown.length < 2) return <svg className="sparkline" viewBox="0 0 100 24" aria-hidden="true" />;
  const top = Math.max(...shown, 1);
  const path = shown
    .map(
      (value, index) =>
        `${index === 0 ? "M" : "L"}${((index / (shown.length - 1)) * 100).toFixed(1)} ${(22 - (value / top) * 20).toFixed(1)}`,
    )
    .join("");
  return (
    <svg className="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

function figure(value: number | null, unit: Series["unit"]): string {
  if (value === null) return "–";
  if (unit === "s") return duration(value * 1000);
  if (unit === "bytes") return bytes(value);
  return (Math.round(value * 10) / 10).toLocaleString("en");
}

function LiveChart({
  plan,
  history,
  picture,
}: {
  readonly plan: ChartPlan;
  readonly history: ServerHistory;
  readonly picture: Operations | null;
}) {
  const id = useId();
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<TimePlot | null>(null);
  const theme = useSyncExternalStore(onTheme, themeNow);
  const [asTable, setAsTable] = useState(false);
  const [failed, setFailed] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const found = useMemo(
    () => plan.series.map(([name]) => history.series.find((each) => each.name === name)),
    [plan, history],
  );
  const unit = found[0]?.unit ?? "";
  const data = useMemo(() => {
    const times = history.times.map((each) => Date.parse(each) / 1000);
    const series = found.map((each) => [...(each?.values ?? [])]);
    const now = picture === null ? 0 : Date.parse(picture.at) / 1000;
    // The running step is not in the history yet. A gauge is known now; a count only when the step is over.
    if (picture !== null && now > (times.at(-1) ?? 0)) {
      times.push(now);
      found.forEach((each, index) =>
        series[index]?.push(each?.kind === "gauge" ? (picture.values[each.name] ?? null) : null),
      );
    }
    return { times, series };
  }, [history, found, picture]);
  const newest = useRef(data);
  newest.current = data;
  const empty = data.series.every((each) => each.every((value) => value === null));
  useEffect(() => {
    const element = host.current;
    if (!element || asTable || empty) return;
    let gone = false;
    import("../core/timeplot.ts")
      .then(({ timePlot }) => {
        if (!gone)
          plot.current = timePlot(element, newest.current, HEIGHT, unit, (value) => figure(value, unit), setAt);
      })
      .catch(() => !gone && setFailed(true));
    return () => {
      gone = true;
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme, asTable, empty, unit]);
  useEffect(() => plot.current?.update(data), [data]);
  const shown = at ?? lastKnown(data.series);
  const when = shown === null ? null : data.times[shown];
  return (
    <figure className="ops-chart" aria-labelledby={id}>
      <figcaption className="chart-head">
        <span id={id} className="chart-title">
          {plan.title}
        </span>
        <button
          type="button"
          className="quiet-button"
          aria-pressed={asTable}
          aria-label={`${plan.title}: ${asTable ? "view as chart" : "view as table"}`}
          onClick={() => setAsTable(!asTable)}
        >
          {asTable ? <ChartIcon size={14} /> : <TableIcon size={14} />}
          {asTable ? "Chart" : "Table"}
        </button>
      </figcaption>
      <ul className="ops-legend">
        {plan.series.map(([name, words], index) => (
          <li key={name} title={found[index]?.meaning}>
            <span className={`swatch series-${index % 8}`} aria-hidden="true" />
            {words}
            <span className="figure ops-legend-value">
              {figure(shown === null ? null : (data.series[index]?.[shown] ?? null), unit)}
            </span>
          </li>
        ))}
      </ul>
      {empty ? (
        <p className="panel-empty ops-chart-empty">Nothing was measured in this range.</p>
      ) : asTable ? (
        <ChartTable plan={plan} times={data.times} series={data.series} unit={unit} />
      ) : (
        <div
          ref={host}
          className="ops-chart-canvas"
          role="img"
          aria-label={`${plan.title}: ${plan.series.map(([, words]) => words).join(", ")}. The table has the figures.`}
        />
      )}
      {failed && <p className="chart-note">The chart could not be loaded. The table has the same figures.</p>}
      <p className="ops-chart-time figure">
        {when === undefined || when === null ? "" : new Date(when * 1000).toLocaleString()}
      </p>
    </figure>
  );
}

function lastKnown(series: ReadonlyArray<ReadonlyArray<number | null>>): number | null {
  const length = series[0]?.length ?? 0;
  for (let at = length - 1; at >= 0; at--)
    if (series.some((each) => each[at] !== null && each[at] !== undefined)) return at;
  return null;
}

/** The newest rows of a chart's figures; steps without any are left out. */
function ChartTable({
  plan,
  times,
  series,
  unit,
}: {
  readonly plan: ChartPlan;
  readonly times: ReadonlyArray<number>;
  readonly series: ReadonlyArray<ReadonlyArray<number | null>>;
  readonly unit: Series["unit"];
}) {
  const rows = times
    .map((time, index) => ({ time, values: series.map((each) => each[index] ?? null) }))
    .filter((row) => row.values.some((value) => value !== null))
    .slice(-TABLE_ROWS)
    .reverse();
  return (
    <div className="table-scroll chart-table" role="region" aria-label={`${plan.title}, as a table`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {plan.series.map(([name, words]) => (
              <th key={name} scope="col" className="align-right">
                {words}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.time}>
              <th scope="row">{new Date(row.time * 1000).toLocaleString()}</th>
              {row.values.map((value, index) => (
                <td key={plan.series[index]?.[0]} className="align-right figure">
                  {figure(value, unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
