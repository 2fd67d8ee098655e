/** Sessions: those of the database, leaks among them, and those of users: who is signed in, and what they amount to. */
import { duration, humanise } from "../core/format.ts";
import { ops, type DatabaseSession, type Sessions } from "../core/ops.ts";
import { useApp } from "../components/app.ts";
import { Logins } from "./Logins.tsx";
import { Asking, Chip, DataTable, Facts, Link, Loaded, Moment, Panel, ShortId, type Tone } from "./parts.tsx";
import { usePolled, useQuery, within } from "./state.ts";

/** As many logins as the server tells of. */
const MOST_LOGINS = 50;
const HEALTH: Readonly<Record<Sessions["database"]["health"], Tone>> = {
  healthy: "good",
  degraded: "warn",
  unhealthy: "bad",
};
const count = (value: number): string => value.toLocaleString("en");

export function SessionsPanel({ isLive }: { readonly isLive: boolean }) {
  const app = useApp();
  const figures = usePolled(ops.sessions, "sessions", isLive ? 5000 : null);
  const open = usePolled(ops.databaseSessions, "database sessions", isLive ? 2000 : null);
  const logins = usePolled(ops.allLogins, "logins", isLive ? 5000 : null);
  return (
    <>
      <Panel
        title="Database"
        words="One session for each request, socket command and run that asks the database something."
      >
        <Loaded polled={figures}>{({ database }) => <DatabaseFigures of={database} />}</Loaded>
      </Panel>
      <Panel
        title="Open database sessions"
        words="Most last for milliseconds. One that holds a connection for long is worth a look."
      >
        <Loaded polled={open} empty={(data) => (data.items.length === 0 ? "None is open at this moment." : null)}>
          {(data) => <OpenSessions rows={data.items} onEnded={open.reload} />}
        </Loaded>
      </Panel>
      <Panel title="Users' sessions" words="A session is a stretch of work in a thread.">
        <Loaded polled={figures}>
          {({ users }) => (
            <Facts
              of={[
                ["Users", count(users.users)],
                ["Sessions", count(users.sessions)],
                ...Object.entries(users.active_users).map(
                  ([days, active]) => [`Active, ${days === "1" ? "1 day" : `${days} days`}`, count(active)] as const,
                ),
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="Signed in" words={`Browsers and programs, the ${MOST_LOGINS} that were seen last.`}>
        <Loaded polled={logins}>
          {(data) => (
            <Logins
              everybody
              rows={data.items}
              onEnded={() => {
                app.toast({ text: "The login was ended." });
                logins.reload();
              }}
            />
          )}
        </Loaded>
      </Panel>
    </>
  );
}

function DatabaseFigures({ of: figures }: { readonly of: Sessions["database"] }) {
  return (
    <>
      <p className="health">
        <Chip tone={HEALTH[figures.health]}>{figures.health}</Chip>
        {figures.reasons.map((reason) => (
          <span key={reason}>{reason}</span>
        ))}
      </p>
      <Facts
        of={[
          ["Open", count(figures.open)],
          ["Most at once", count(figures.peak)],
          ["Since the start", count(figures.attempted)],
          ["Failed", count(figures.failed)],
          ["Leaks taken back", count(figures.leaks)],
          ["Waits in vain", count(figures.exhausted)],
        ]}
      />
      <DataTable
        label="Pools"
        rows={Object.entries(figures.pools)}
        id={([name]) => name}
        columns={[
          { name: "Pool", cell: ([name]) => name },
          { name: "In use", align: "right", cell: ([, pool]) => `${pool.checked_out} of ${pool.size}` },
          { name: "Waits", align: "right", cell: ([, pool]) => pool.waits },
          { name: "In vain", align: "right", cell: ([, pool]) => pool.exhausted },
          { name: "Lost", align: "right", cell: ([, pool]) => pool.invalidated },
        ]}
      />
    </>
  );
}

function OpenSessions({
  rows,
  onEnded,
}: {
  readonly rows: ReadonlyArray<DatabaseSession>;
  readonly onEnded: () => void;
}) {
  const app = useApp();
  const [query, change] = useQuery();
  return (
    <DataTable
      label="Open database sessions"
      rows={rows}
      id={(row) => row.id}
      sort={query.get("sort")}
      onSort={(sort) => change({ sort })}
      columns={[
        { name: "Owner", cell: owner },
        {
          name: "User",
          cell: (row) =>
            row.user_id === "" ? <span className="quiet">the server</span> : <ShortId id={row.user_id} />,
          wide: true,
        },
        { name: "Opened", cell: (row) => <Moment at={row.opened_at} />, wide: true },
        {
          name: "Age",
          align: "right",
          by: (row) => row.age_seconds,
          cell: (row) => duration(row.age_seconds * 1000),
        },
        {
          name: "Held",
          align: "right",
          by: (row) => row.held_seconds ?? -1,
          cell: (row) => (row.held_seconds === null ? "–" : duration(row.held_seconds * 1000)),
        },
        { name: "Last statement", cell: (row) => row.last_statement_kind ?? "–", wide: true },
        { name: "State", cell: (row) => (row.leaked ? <Chip tone="bad">leak</Chip> : humanise(row.state)) },
        {
          name: "",
          cell: (row) =>
            row.held_seconds === null ? null : (
              <Asking
                label="End"
                about={`the session of ${(row.run_id ?? row.request_id).slice(-6)}`}
                title="End this database session?"
                words="Its connection is taken back. Whoever works with it gets an error."
                confirm="End it"
                run={() => ops.endDatabaseSession(row.id)}
                onDone={() => {
                  app.toast({ text: "The database session was ended." });
                  onEnded();
                }}
              />
            ),
        },
      ]}
    />
  );
}

/** Who opened a session; a run leads to its execution. */
function owner(row: DatabaseSession) {
  return row.run_id === null ? (
    <ShortId id={row.request_id} />
  ) : (
    <Link to={within("executions", row.run_id)}>
      <ShortId id={row.run_id} />
    </Link>
  );
}
