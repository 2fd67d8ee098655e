/** Logins: browsers and programs that are signed in, of one user or of everybody. */
import { ago, plural } from "../core/format.ts";
import { ops, type Login } from "../core/ops.ts";
import { opsPath } from "../core/route.ts";
import { Asking, DataTable, Link, Moment, type Column } from "./parts.tsx";

/** How long ago; never without a time. */
export const when = (time: string | null): string => (time === null ? "never" : ago(Date.parse(time), Date.now()));

export function Logins({
  rows,
  everybody = false,
  onEnded,
}: {
  readonly rows: ReadonlyArray<Login>;
  /** Whether they are of several users. */
  readonly everybody?: boolean;
  readonly onEnded: () => void;
}) {
  const user: Column<Login> = {
    name: "User",
    cell: (row) => (
      <Link className="long-name" to={opsPath("users", row.user_id)}>
        {row.email}
      </Link>
    ),
  };
  return (
    <DataTable
      label="Logins"
      rows={rows}
      id={(row) => row.id}
      columns={[
        ...(everybody ? [user] : []),
        {
          name: "Device",
          cell: (row) => <span title={row.user_agent}>{device(row.user_agent)}</span>,
          wide: everybody,
        },
        { name: "Since", cell: (row) => <Moment at={row.created_at} />, wide: true },
        { name: "Last seen", cell: (row) => when(row.last_seen_at) },
        {
          name: "Connections",
          align: "right",
          cell: (row) => (row.connections === 0 ? "–" : plural(row.connections, "open", "open")),
        },
        {
          name: "",
          cell: (row) => (
            <Asking
              label="End"
              about={`the login of ${everybody ? `${row.email}, ` : ""}${device(row.user_agent)}`}
              title="End this login?"
              words="Its connections close at once, and it has to sign in again."
              confirm="End it"
              run={() => ops.endLogin(row.id)}
              onDone={onEnded}
            />
          ),
        },
      ]}
    />
  );
}

/** A user agent in two words, as far as it can be told. */
function device(agent: string): string {
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((each) => agent.includes(`${each}/`));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((each) => agent.includes(each));
  const names: Readonly<Record<string, string>> = { Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" };
  if (browser === undefined) return agent === "" ? "unknown" : agent.slice(0, 40);
  return [names[browser] ?? browser, system === undefined ? "" : `on ${names[system] ?? system}`].join(" ").trim();
}
