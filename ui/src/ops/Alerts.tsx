/** Alerts: what is wrong, what was, what is watched, and what is silenced for a while. */
import { bytes, duration, oneLine } from "../core/format.ts";
import { ops, type AlertRule, type Incident, type Silence } from "../core/ops.ts";
import { useApp } from "../components/app.ts";
import { Field } from "../components/controls.tsx";
import { Asking, Chip, DataTable, Link, Loaded, Moment, Panel, StateChip } from "./parts.tsx";
import { usePolled } from "./state.ts";

function shown(value: number, unit: AlertRule["unit"]): string {
  if (unit === "share") return `${Math.round(value * 100)} %`;
  if (unit === "s") return duration(value * 1000);
  if (unit === "bytes") return bytes(value);
  return value.toLocaleString("en");
}

const KEY = "{key}";
/** Where to look further, by rule. */
const PLACES: Readonly<Record<string, readonly [string, string]>> = {
  run_failures: ["Failed executions", "/ops/executions?state=failed"],
  thread_failures: ["Its executions", `/ops/executions?thread=${KEY}`],
  stuck_runs: ["Running executions", "/ops/executions?state=running"],
  queue_age: ["Waiting executions", "/ops/executions?state=pending"],
  breaker_open: ["Circuits", "/ops/executions"],
  pool_exhaustion: ["Database sessions", "/ops/sessions"],
  session_leak: ["Database sessions", "/ops/sessions"],
  loop_lag: ["Charts", "/ops?range=15"],
  event_latency: ["Charts", "/ops?range=15"],
};
function Place({ of: { rule, key } }: { readonly of: Incident }) {
  const place = PLACES[rule];
  return place === undefined ? null : <Link to={place[1].replace(KEY, encodeURIComponent(key))}>{place[0]}</Link>;
}

const lasting = (ms: number): string => (ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : duration(ms));

/** The worst value, marked when it is one to fire at; how many there are when there are several. */
function Now({ rule }: { readonly rule: AlertRule }) {
  const values = Object.values(rule.values);
  if (values.length === 0) return <span className="quiet">–</span>;
  const worst = rule.falling ? Math.min(...values) : Math.max(...values);
  const words = shown(worst, rule.unit) + (values.length > 1 ? `, worst of ${values.length}` : "");
  return (rule.falling ? worst <= rule.fires_at : worst >= rule.fires_at) ? (
    <Chip tone={rule.severity === "critical" ? "bad" : "warn"}>{words}</Chip>
  ) : (
    <>{words}</>
  );
}

export function AlertsPanel({ isLive }: { readonly isLive: boolean }) {
  const app = useApp();
  const polled = usePolled(ops.alerts, "alerts", isLive ? 3000 : null);
  const silences = usePolled(ops.silences, "silences", isLive ? 10_000 : null);
  const done = (text: string) => () => {
    app.toast({ text });
    polled.reload();
    silences.reload();
  };
  return (
    <>
      <Panel title="Open alerts">
        <Loaded polled={polled} empty={(data) => (data.open.length === 0 ? "Nothing is wrong." : null)}>
          {(data) => (
            <ul className="incidents">
              {data.open.map((incident) => (
                <OpenIncident
                  key={incident.id}
                  incident={incident}
                  rule={data.rules.find((each) => each.name === incident.rule)}
                  silence={silences.data?.items.find((each) => isAbout(each, incident))}
                  onDone={done}
                />
              ))}
            </ul>
          )}
        </Loaded>
      </Panel>
      <Panel title="Silences">
        <Loaded polled={silences} empty={(data) => (data.items.length === 0 ? "Nothing is silenced." : null)}>
          {(data) => (
            <DataTable
              label="Silences"
              rows={data.items}
              id={(row) => row.id}
              columns={[
                { name: "Rule", cell: (row) => named(row.rule, row.key) },
                {
                  name: "Until",
                  cell: (row) => <Moment at={row.until} />,
                },
                { name: "By", cell: (row) => row.made_by, wide: true },
                { name: "Why", cell: (row) => row.note, text: true },
                {
                  name: "",
                  cell: (row) => (
                    <Asking
                      label="End"
                      about={`the silence of ${row.rule}`}
                      danger={false}
                      title="End this silence?"
                      words="Messages are sent again."
                      confirm="End it"
                      run={() => ops.endSilence(row.id)}
                      onDone={done("The silence was ended.")}
                    />
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="History">
        <Loaded polled={polled} empty={(data) => (data.recent.length === 0 ? "There was no alert yet." : null)}>
          {(data) => (
            <DataTable
              label="Alerts, newest first"
              rows={data.recent}
              id={(row) => row.id}
              columns={[
                { name: "Severity", cell: (row) => <StateChip state={row.severity} /> },
                { name: "What", cell: (row) => row.summary, text: true },
                {
                  name: "Began",
                  cell: (row) => <Moment at={row.opened_at} />,
                  wide: true,
                },
                {
                  name: "Lasted",
                  align: "right",
                  cell: (row) =>
                    row.resolved_at === null ? (
                      <Chip tone="warn">open</Chip>
                    ) : (
                      duration(Date.parse(row.resolved_at) - Date.parse(row.opened_at))
                    ),
                },
                { name: "Note", cell: (row) => [row.acknowledged_by, row.note].filter(Boolean).join(": "), wide: true },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="What is watched" words="The values are those this server read last.">
        <Loaded polled={polled}>
          {(data) => (
            <DataTable
              label="Rules"
              rows={data.rules}
              id={(row) => row.name}
              columns={[
                { name: "Rule", cell: (row) => row.name },
                { name: "Severity", cell: (row) => <StateChip state={row.severity} /> },
                { name: "Now", align: "right", cell: (row) => <Now rule={row} /> },
                {
                  name: "Fires",
                  align: "right",
                  cell: (row) => `${row.falling ? "≤" : "≥"} ${shown(row.fires_at, row.unit)}`,
                },
                { name: "Meaning", cell: (row) => row.meaning, wide: true },
              ]}
            />
          )}
        </Loaded>
      </Panel>
    </>
  );
}

const isAbout = (silence: Silence, { rule, key }: Incident): boolean =>
  silence.rule === rule && (silence.key === null || silence.key === key);
const named = (rule: string, key: string | null): string => (key ? `${rule} of ${key}` : rule);

/** What it is now, as far as this server has read it, else what it was when it began; and from when on it fires. */
function valueOf({ key, details }: Incident, rule: AlertRule | undefined): string {
  if (rule === undefined) return "";
  const current = rule.values[key];
  const value = current ?? details.value;
  return typeof value !== "number"
    ? ""
    : `${current === undefined ? "began with" : "now"} ${shown(value, rule.unit)}, fires at ${shown(rule.fires_at, rule.unit)}`;
}

function OpenIncident({
  incident,
  rule,
  silence,
  onDone,
}: {
  readonly incident: Incident;
  readonly rule: AlertRule | undefined;
  readonly silence: Silence | undefined;
  readonly onDone: (text: string) => () => void;
}) {
  const { value: _, ...details } = incident.details;
  const known = [
    named(incident.rule, incident.key),
    `since ${new Date(incident.opened_at).toLocaleString()}, for ${lasting(Date.now() - Date.parse(incident.opened_at))}`,
    valueOf(incident, rule),
    silence && `silenced until ${new Date(silence.until).toLocaleString()}`,
  ];
  const about = `${incident.rule} ${incident.key}`.trim();
  return (
    <li data-severity={incident.severity} tabIndex={-1}>
      <div className="incident-head">
        <StateChip state={incident.severity} />
        <strong>{incident.summary}</strong>
      </div>
      <p className="quiet">{known.filter(Boolean).join(" · ")}</p>
      {Object.keys(details).length > 0 && <p className="quiet">{oneLine(details, 400)}</p>}
      {incident.acknowledged_at !== null && (
        <p className="quiet">
          Acknowledged by {incident.acknowledged_by}
          {incident.note ? `: ${incident.note}` : ""}
        </p>
      )}
      <div className="incident-actions">
        <Place of={incident} />
        {incident.acknowledged_at === null && (
          <Asking
            label="Acknowledge"
            about={about}
            danger={false}
            title="Acknowledge this alert?"
            words="Others see that somebody looks at it. It stays open until it is over."
            confirm="Acknowledge"
            run={(form) => ops.acknowledge(incident.id, String(form.get("note") ?? ""))}
            onDone={onDone("Acknowledged.")}
          >
            <Field label="Note" name="note" data-focus-first maxLength={500} autoComplete="off" />
          </Asking>
        )}
        <Asking
          label="Silence"
          about={about}
          danger={false}
          title="Silence this alert?"
          words={`No messages about ${named(incident.rule, incident.key)} are sent until then. It is shown all the same.`}
          confirm="Silence"
          run={(form) =>
            ops.silence(
              incident.rule,
              incident.key === "" ? null : incident.key,
              Number(form.get("minutes")),
              String(form.get("note") ?? ""),
            )
          }
          onDone={onDone("Silenced.")}
        >
          <div className="field">
            <label htmlFor={`minutes-${incident.id}`}>For</label>
            <select id={`minutes-${incident.id}`} name="minutes" defaultValue="60" data-focus-first>
              <option value="15">15 minutes</option>
              <option value="60">1 hour</option>
              <option value="480">8 hours</option>
              <option value="1440">1 day</option>
              <option value="10080">1 week</option>
            </select>
          </div>
          <Field label="Why" name="note" required maxLength={500} autoComplete="off" />
        </Asking>
      </div>
    </li>
  );
}
