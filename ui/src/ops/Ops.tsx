/** The administrators' dashboard. One range and one live switch for all panels, kept in the address. */
import { useEffect, useRef } from "react";
import { chatPath, router } from "../core/route.ts";
import { IconButton } from "../components/controls.tsx";
import { AlertIcon, BackIcon } from "../components/icons.tsx";
import { AlertsPanel } from "./Alerts.tsx";
import { AuditPanel } from "./Audit.tsx";
import { CompliancePanel } from "./Compliance.tsx";
import { ExecutionPage } from "./Execution.tsx";
import { ExecutionsPanel } from "./Executions.tsx";
import { Overview } from "./Overview.tsx";
import { SessionsPanel } from "./Sessions.tsx";
import { Link } from "./parts.tsx";
import { RANGES, useIsLive, useOperations, useQuery, useRange, within, type Live } from "./state.ts";
import { UserPage } from "./User.tsx";
import { UsersPanel } from "./Users.tsx";
import "./ops.css";

const PANELS: ReadonlyArray<readonly [string, string]> = [
  ["overview", "Overview"],
  ["executions", "Executions"],
  ["sessions", "Sessions"],
  ["alerts", "Alerts"],
  ["users", "Users"],
  ["compliance", "Compliance"],
  ["audit", "Audit"],
];

export default function Ops({ panel, id }: { readonly panel: string; readonly id: string | null }) {
  const isLive = useIsLive();
  const live = useOperations(isLive);
  const title = PANELS.find(([name]) => name === panel)?.[1] ?? "Operations";
  useEffect(() => {
    document.title = `${title} · Netra`;
  }, [title]);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(`${panel} ${id}`);
  useEffect(() => {
    if (shown.current === `${panel} ${id}`) return;
    shown.current = `${panel} ${id}`;
    main.current?.scrollTo({ top: 0 });
    // A link of the list that was left is gone: go on from the top of what is shown instead.
    const lost = document.activeElement === null || document.activeElement === document.body;
    if (lost) (main.current?.querySelector<HTMLElement>("h2") ?? main.current)?.focus({ preventScroll: true });
  }, [panel, id]);
  useEffect(() => {
    document.querySelector(".ops-nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [panel]);
  const alerts = live.picture?.alerts ?? [];
  const urgent = alerts.filter((each) => each.severity === "critical" && !each.acknowledged);
  return (
    <div className="ops">
      <header className="bar">
        <IconButton label="Back to the conversation" onClick={() => router.go(chatPath(null))}>
          <BackIcon />
        </IconButton>
        <h1 className="bar-title">Operations</h1>
        <LiveSwitch live={live} isLive={isLive} />
      </header>
      <nav className="ops-nav" aria-label="Panels">
        {PANELS.map(([name, words]) => (
          <Link key={name} to={within(name)} aria-current={name === panel ? "page" : undefined}>
            {words}
            {name === "alerts" && alerts.length > 0 && (
              <span
                className="count"
                data-severity={alerts.some((each) => each.severity === "critical") ? "critical" : "warning"}
              >
                {alerts.length}
                <span className="visually-hidden"> open</span>
              </span>
            )}
          </Link>
        ))}
        <a href="/ops/report">Weekly report</a>
      </nav>
      <main ref={main} className="ops-body" data-stale={live.stale} tabIndex={-1}>
        <div className="ops-notices" role="status">
          {live.stale && <p className="stale">{staleWords(live)}</p>}
          {panel !== "alerts" && urgent[0] !== undefined && (
            <p className="urgent">
              <AlertIcon />
              <span>
                <strong>Critical:</strong> {urgent[0].summary} {urgent.length > 1 && `And ${urgent.length - 1} more.`}
              </span>
              <Link to={within("alerts")}>Look</Link>
            </p>
          )}
        </div>
        {panel === "overview" && <Range />}
        <Shown panel={panel} id={id} live={live} isLive={isLive} />
      </main>
    </div>
  );
}

/** In whole minutes once it is minutes: the words are read aloud when they change. */
function staleWords({ picture, age, connected }: Live): string {
  if (picture === null)
    return connected ? "The server has not said anything yet." : "The server cannot be reached. It is tried again.";
  const why = connected ? "No news from the server." : "The connection to the server is lost. It is tried again.";
  const old = age < 60_000 ? "" : ` It is ${Math.floor(age / 60_000)} min old.`;
  return `${why} What is shown may be old.${old}`;
}

function Shown({
  panel,
  id,
  live,
  isLive,
}: {
  readonly panel: string;
  readonly id: string | null;
  readonly live: Live;
  readonly isLive: boolean;
}) {
  switch (panel) {
    case "overview":
      return <Overview live={live} isLive={isLive} />;
    case "executions":
      return id === null ? (
        <ExecutionsPanel live={live} isLive={isLive} />
      ) : (
        <ExecutionPage key={id} id={id} live={live} />
      );
    case "sessions":
      return <SessionsPanel isLive={isLive} />;
    case "alerts":
      return <AlertsPanel isLive={isLive} />;
    case "users":
      return id === null ? <UsersPanel /> : <UserPage key={id} id={id} />;
    case "compliance":
      return <CompliancePanel />;
    case "audit":
      return <AuditPanel />;
    default:
      return <p className="panel-empty">There is no such panel.</p>;
  }
}

function LiveSwitch({ live, isLive }: { readonly live: Live; readonly isLive: boolean }) {
  const [, change] = useQuery();
  const words = !isLive
    ? "paused"
    : live.stale
      ? `stale, ${Math.round(live.age / 1000)} s`
      : live.picture === null
        ? "waiting"
        : live.age < 1500
          ? "now"
          : `${Math.round(live.age / 1000)} s ago`;
  return (
    <label className="live-switch">
      <span className="figure" data-stale={live.stale}>
        {isLive && live.picture !== null && !live.stale ? `updated ${words}` : words}
      </span>
      <span>Live</span>
      <input
        className="switch"
        type="checkbox"
        role="switch"
        checked={isLive}
        onChange={(event) => change({ live: event.target.checked ? null : "off" })}
      />
    </label>
  );
}

function Range() {
  const minutes = useRange();
  const [, change] = useQuery();
  return (
    <div className="segments ops-range" role="radiogroup" aria-label="Time range">
      {RANGES.map(([each, words]) => (
        <label key={each} className="segment">
          <input
            type="radio"
            name="range"
            checked={minutes === each}
            onChange={() => change({ range: each === 60 ? null : String(each) })}
          />
          <span>{words}</span>
        </label>
      ))}
    </div>
  );
}
