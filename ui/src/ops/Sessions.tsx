/** Database sessions, leaks among them, and what users' sessions amount to. */
import { duration, humanise } from "../core/format.ts";
import { ops } from "../core/ops.ts";
import { useApp } from "../components/app.ts";
import { follow } from "./Executions.tsx";
import { Asking, Chip, DataTable, Loaded, Panel, ShortId } from "./parts.tsx";
import { usePolled, useQuery, within } from "./state.ts";

/** Who opened a session. A run's attempt leads to its execution. */
function Owner({ id }: { readonly id: string }) {
  const run = /^run_[^.]+/.exec(id)?.[0];
  return run === undefined ? (
    <ShortId id={id} />
  ) : (
    <a href={within("executions", run)} onClick={follow}>
      <ShortId id={id} />
    </a>
  );
}

export function SessionsPanel({ isLive }: { readonly isLive: boolean }) {
  const app = useApp();
  const [query, change] = useQuery();
  const figures = usePolled(ops.sessions, "sessions", isLive ? 5000 : null);
  const open = usePolled(ops.databaseSessions, "database sessions", isLive ? 2000 : null);
  return (
    <>
      <Panel
        title="Database"
        words="One session for each request, socket command and run that asks the database something."
      >
        <Loaded polled={figures}>
          {({ database }) => (
            <>
              <p className="health">
                <Chip tone={database.health === "healthy" ? "good" : database.health === "degraded" ? "warn" : "bad"}>
                  {database.health}
                </Chip>
                {database.reasons.map((reason) => (
                  <span key={reason}>{reason}</span>
                ))}
              </p>
              <dl className="ops-facts">
                {(
                  [
                    ["Open", database.open],
                    ["Most at once", database.peak],
                    ["Since the start", database.attempted],
                    ["Failed", database.failed],
                    ["Leaks taken back", database.leaks],
                    ["Waits in vain", database.exhausted],
                  ] as const
                ).map(([name, value]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd className="figure">{value.toLocaleString("en")}</dd>
                  </div>
                ))}
              </dl>
              <DataTable
                label="Pools"
                rows={Object.entries(database.pools)}
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
          )}
        </Loaded>
      </Panel>
      <Panel
        title="Open database sessions"
        words="Most last for milliseconds. One that holds a connection for long is worth a look."
      >
        <Loaded polled={open} empty={(data) => (data.items.length === 0 ? "None is open at this moment." : null)}>
          {(data) => (
            <DataTable
              label="Open database sessions"
              rows={data.items}
              id={(row) => row.id}
              sort={query.get("sort")}
              onSort={(sort) => change({ sort })}
              columns={[
                { name: "Owner", cell: (row) => <Owner id={row.run_id ?? row.request_id} /> },
                {
                  name: "User",
                  cell: (row) =>
                    row.user_id === "" ? <span className="quiet">the server</span> : <ShortId id={row.user_id} />,
                  wide: true,
                },
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
                        onDone={() => app.toast({ text: "The database session was ended." })}
                      />
                    ),
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="Users' sessions" words="Stretches of work in a thread. Logins and devices are under Users.">
        <Loaded polled={figures}>
          {({ users }) => (
            <dl className="ops-facts">
              <div>
                <dt>Users</dt>
                <dd className="figure">{users.users.toLocaleString("en")}</dd>
              </div>
              <div>
                <dt>Sessions</dt>
                <dd className="figure">{users.sessions.toLocaleString("en")}</dd>
              </div>
              {Object.entries(users.active_users).map(([days, count]) => (
                <div key={days}>
                  <dt>Active, {days === "1" ? "1 day" : `${days} days`}</dt>
                  <dd className="figure">{count.toLocaleString("en")}</dd>
                </div>
              ))}
            </dl>
          )}
        </Loaded>
      </Panel>
    </>
  );
}
