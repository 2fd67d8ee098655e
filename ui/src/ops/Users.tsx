/** Accounts: create, disable, make an administrator, a new password, and each one's logins and tokens. */
import { useEffect, useState, type FormEvent } from "react";
import { Problem } from "../core/api.ts";
import { ago, plural } from "../core/format.ts";
import { ops, type Account } from "../core/ops.ts";
import { opsPath, router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { Button, CopyButton, Dialog, Field, IconButton } from "../components/controls.tsx";
import { AlertIcon, BackIcon, PlusIcon } from "../components/icons.tsx";
import { follow } from "./Executions.tsx";
import { Asking, Chip, DataTable, Loaded, More, Panel } from "./parts.tsx";
import { usePolled, useQuery, within } from "./state.ts";

const TYPING_MS = 250;
const when = (time: string | null): string => (time === null ? "never" : ago(Date.parse(time), Date.now()));

/** A password that is shown once. */
interface Secret {
  readonly email: string;
  readonly password: string;
}

function SecretDialog({ secret, onClose }: { readonly secret: Secret; readonly onClose: () => void }) {
  return (
    <Dialog title="New password" onClose={onClose}>
      <p className="dialog-words">
        For {secret.email}. It is shown only now; hand it over on a safe way. They can change it in their settings.
      </p>
      <div className="secret">
        <code>{secret.password}</code>
        <CopyButton text={() => secret.password} />
      </div>
      <div className="form-actions">
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}

export function UsersPanel() {
  const app = useApp();
  const [query, change] = useQuery();
  const asked = query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const [creating, setCreating] = useState(false);
  const [secret, setSecret] = useState<Secret | null>(null);
  const [older, setOlder] = useState<{
    readonly key: string;
    readonly rows: ReadonlyArray<Account>;
    readonly cursor: string | null;
  } | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (text === asked) return;
    const timer = setTimeout(() => change({ q: text.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, asked, change]);
  const polled = usePolled(() => ops.users(asked, null), `users ${asked}`, null);
  const further = older?.key === asked ? older : null;
  return (
    <Panel
      title="Users"
      actions={
        <>
          <input
            className="input"
            type="search"
            aria-label="Search users"
            placeholder="Search"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <Button kind="primary" onClick={() => setCreating(true)}>
            <PlusIcon />
            New user
          </Button>
        </>
      }
    >
      <Loaded
        polled={polled}
        empty={(data) =>
          data.items.length === 0 ? (asked === "" ? "There are no users." : `Nobody found for “${asked}”.`) : null
        }
      >
        {(data) => {
          const cursor = further === null ? data.next_cursor : further.cursor;
          return (
            <>
              <DataTable
                label="Users"
                rows={[...data.items, ...(further?.rows ?? [])]}
                id={(row) => row.id}
                sort={query.get("sort")}
                onSort={(sort) => change({ sort })}
                columns={[
                  {
                    name: "E-mail",
                    by: (row) => row.email,
                    cell: (row) => (
                      <a className="long-name" href={within("users", row.id, true)} onClick={follow}>
                        {row.email}
                      </a>
                    ),
                  },
                  { name: "Name", by: (row) => row.name, cell: (row) => row.name, wide: true },
                  {
                    name: "Role",
                    cell: (row) =>
                      row.disabled_at !== null ? (
                        <Chip tone="warn">disabled</Chip>
                      ) : row.roles.includes("admin") ? (
                        <Chip tone="accent">administrator</Chip>
                      ) : (
                        <Chip>user</Chip>
                      ),
                  },
                  {
                    name: "Last seen",
                    by: (row) => (row.last_seen_at === null ? 0 : Date.parse(row.last_seen_at)),
                    cell: (row) => when(row.last_seen_at),
                  },
                  { name: "Logins", align: "right", by: (row) => row.logins, cell: (row) => row.logins, wide: true },
                  { name: "Tokens", align: "right", by: (row) => row.tokens, cell: (row) => row.tokens, wide: true },
                ]}
              />
              {cursor !== null && (
                <More
                  busy={busy}
                  onMore={async () => {
                    setBusy(true);
                    try {
                      const next = await ops.users(asked, cursor);
                      setOlder({
                        key: asked,
                        rows: [...(further?.rows ?? []), ...next.items],
                        cursor: next.next_cursor,
                      });
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
      {creating && (
        <NewUser
          onClose={() => setCreating(false)}
          onMade={(made) => {
            setCreating(false);
            setSecret(made);
            polled.reload();
          }}
        />
      )}
      {secret && <SecretDialog secret={secret} onClose={() => setSecret(null)} />}
    </Panel>
  );
}

function NewUser({ onClose, onMade }: { readonly onClose: () => void; readonly onMade: (secret: Secret) => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setProblem(null);
    try {
      const made = await ops.createUser(
        String(data.get("email")),
        String(data.get("name") ?? "").trim(),
        data.get("admin") !== null,
      );
      onMade({ email: made.user.email, password: made.password });
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, "unexpected", String(error)));
      setBusy(false);
    }
  };
  return (
    <Dialog title="New user" onClose={onClose}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <Field
          label="E-mail address"
          name="email"
          type="email"
          required
          autoComplete="off"
          data-focus-first
          problem={problem?.field === "email" ? problem.message : null}
        />
        <Field
          label="Name"
          name="name"
          autoComplete="off"
          maxLength={200}
          problem={problem?.field === "name" ? problem.message : null}
        />
        <div className="field field-check">
          <label htmlFor="new-user-admin">Administrator</label>
          <input id="new-user-admin" name="admin" type="checkbox" />
        </div>
        {problem && problem.field !== "email" && problem.field !== "name" && (
          <p className="form-problem" role="alert">
            <AlertIcon />
            <span>{problem.message}</span>
          </p>
        )}
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={busy}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function UserPage({ id }: { readonly id: string }) {
  const app = useApp();
  const [secret, setSecret] = useState<Secret | null>(null);
  const account = usePolled(() => ops.user(id), `user ${id}`, null);
  const logins = usePolled(() => ops.logins(id), `logins ${id}`, 5000);
  const tokens = usePolled(() => ops.tokens(id), `tokens ${id}`, null);
  const done = (text: string) => () => {
    app.toast({ text });
    account.reload();
    logins.reload();
    tokens.reload();
  };
  const me = id === app.user.id;
  return (
    <>
      <Panel
        title={account.data?.email ?? "User"}
        words={account.data?.name}
        back={
          <IconButton label="Back to users" onClick={() => router.go(within("users", null, true))}>
            <BackIcon />
          </IconButton>
        }
        actions={
          <>
            {account.data && (
              <>
                <Asking
                  label="New password"
                  title="Give this user a new password?"
                  words="A password is made and shown once. All their logins end."
                  confirm="Make one"
                  run={async () =>
                    setSecret({ email: account.data?.email ?? "", password: (await ops.resetPassword(id)).password })
                  }
                  onDone={done("The password was changed.")}
                />
                {!me && (
                  <>
                    {account.data.roles.includes("admin") ? (
                      <Asking
                        label="Make an ordinary user"
                        title="Take the administrator's role away?"
                        words="They keep their conversations and lose this dashboard."
                        confirm="Take it away"
                        run={() => ops.changeUser(id, { admin: false })}
                        onDone={done("They are an ordinary user now.")}
                      />
                    ) : (
                      <Asking
                        label="Make an administrator"
                        title="Make this user an administrator?"
                        words="They see this dashboard and can do everything on it."
                        confirm="Make them one"
                        run={() => ops.changeUser(id, { admin: true })}
                        onDone={done("They are an administrator now.")}
                      />
                    )}
                    {account.data.disabled_at === null ? (
                      <Asking
                        label="Disable"
                        title="Disable this user?"
                        words="Their logins, sockets and tokens end at once. Nothing of theirs is deleted."
                        confirm="Disable"
                        run={() => ops.changeUser(id, { disabled: true })}
                        onDone={done("The user was disabled.")}
                      />
                    ) : (
                      <Asking
                        label="Enable"
                        danger={false}
                        title="Enable this user?"
                        words="They can sign in again."
                        confirm="Enable"
                        run={() => ops.changeUser(id, { disabled: false })}
                        onDone={done("The user was enabled.")}
                      />
                    )}
                  </>
                )}
              </>
            )}
          </>
        }
      >
        <Loaded polled={account}>
          {(data) => (
            <dl className="ops-facts">
              <div>
                <dt>State</dt>
                <dd>
                  {data.disabled_at === null ? <Chip tone="good">enabled</Chip> : <Chip tone="warn">disabled</Chip>}
                </dd>
              </div>
              <div>
                <dt>Role</dt>
                <dd>{data.roles.includes("admin") ? "administrator" : "user"}</dd>
              </div>
              <div>
                <dt>Created</dt>
                <dd>{new Date(data.created_at).toLocaleString()}</dd>
              </div>
              <div>
                <dt>Last seen</dt>
                <dd>{when(data.last_seen_at)}</dd>
              </div>
              <div>
                <dt>Executions</dt>
                <dd>
                  <a href={`${opsPath("executions")}?user=${encodeURIComponent(id)}`} onClick={follow}>
                    Show
                  </a>
                </dd>
              </div>
            </dl>
          )}
        </Loaded>
      </Panel>
      <Panel title="Logins" words="Browsers and programs that are signed in.">
        <Loaded polled={logins} empty={(data) => (data.items.length === 0 ? "Nobody is signed in." : null)}>
          {(data) => (
            <DataTable
              label="Logins"
              rows={data.items}
              id={(row) => row.id}
              columns={[
                { name: "Device", cell: (row) => <span title={row.user_agent}>{device(row.user_agent)}</span> },
                { name: "Since", cell: (row) => new Date(row.created_at).toLocaleString(), wide: true },
                { name: "Last seen", cell: (row) => when(row.last_seen_at) },
                {
                  name: "Connections",
                  align: "right",
                  cell: (row) => (row.connections === 0 ? "–" : plural(row.connections, "open")),
                },
                {
                  name: "",
                  cell: (row) => (
                    <Asking
                      label="End"
                      about={`the login of ${device(row.user_agent)}`}
                      title="End this login?"
                      words="Its connections close at once, and it has to sign in again."
                      confirm="End it"
                      run={() => ops.endLogin(row.id)}
                      onDone={done("The login was ended.")}
                    />
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="Tokens" words="For programs. A token can do what its user can.">
        <Loaded polled={tokens} empty={(data) => (data.items.length === 0 ? "There are none." : null)}>
          {(data) => (
            <DataTable
              label="Tokens"
              rows={data.items}
              id={(row) => row.id}
              columns={[
                { name: "Name", cell: (row) => row.name },
                { name: "Begins with", cell: (row) => <code>{row.prefix}</code>, wide: true },
                { name: "Last used", cell: (row) => when(row.last_used_at) },
                {
                  name: "Expires",
                  cell: (row) => (row.expires_at === null ? "never" : new Date(row.expires_at).toLocaleDateString()),
                },
                {
                  name: "",
                  cell: (row) => (
                    <Asking
                      label="Revoke"
                      about={row.name}
                      title={`Revoke ${row.name}?`}
                      words="Programs that use it are refused from now on."
                      confirm="Revoke"
                      run={() => ops.revokeToken(row.id)}
                      onDone={done("The token was revoked.")}
                    />
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {secret && <SecretDialog secret={secret} onClose={() => setSecret(null)} />}
    </>
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
