/** Accounts: find one, and create one. */
import { useEffect, useState, type FormEvent } from "react";
import { Problem } from "../core/api.ts";
import { ops, type Account } from "../core/ops.ts";
import { Button, Dialog, Field } from "../components/controls.tsx";
import { AlertIcon, PlusIcon } from "../components/icons.tsx";
import { when } from "./Logins.tsx";
import { Chip, DataTable, Link, Loaded, More, Panel } from "./parts.tsx";
import { SecretDialog, type Secret } from "./Secret.tsx";
import { usePages, usePolled, useQuery, within } from "./state.ts";

const TYPING_MS = 250;

export function UsersPanel() {
  const [query, change] = useQuery();
  const asked = query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const [creating, setCreating] = useState(false);
  const [secret, setSecret] = useState<Secret | null>(null);
  useEffect(() => {
    if (text === asked) return;
    const timer = setTimeout(() => change({ q: text.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, asked, change]);
  const key = `users ${asked}`;
  const polled = usePolled(() => ops.users(asked, null), key, null);
  const pages = usePages(key, polled.data, (cursor) => ops.users(asked, cursor));
  const nobody = asked === "" ? "There are no users." : `Nobody found for “${asked}”.`;
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
      <Loaded polled={polled} empty={(data) => (data.items.length === 0 ? nobody : null)}>
        {() => (
          <DataTable
            label="Users"
            rows={pages.rows}
            id={(row) => row.id}
            sort={query.get("sort")}
            onSort={(sort) => change({ sort })}
            columns={[
              {
                name: "E-mail",
                by: (row) => row.email,
                cell: (row) => (
                  <Link className="long-name" to={within("users", row.id, true)}>
                    {row.email}
                  </Link>
                ),
              },
              { name: "Name", by: (row) => row.name, cell: (row) => row.name, wide: true },
              { name: "Role", cell: role },
              {
                name: "Last seen",
                by: (row) => (row.last_seen_at === null ? 0 : Date.parse(row.last_seen_at)),
                cell: (row) => when(row.last_seen_at),
              },
              { name: "Logins", align: "right", by: (row) => row.logins, cell: (row) => row.logins, wide: true },
              { name: "Tokens", align: "right", by: (row) => row.tokens, cell: (row) => row.tokens, wide: true },
            ]}
          />
        )}
      </Loaded>
      <More of={pages} />
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

function role({ disabled_at, roles }: Account) {
  if (disabled_at !== null) return <Chip tone="warn">disabled</Chip>;
  return roles.includes("admin") ? <Chip tone="accent">administrator</Chip> : <Chip>user</Chip>;
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
