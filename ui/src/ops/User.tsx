/** One account: disable it, make it an administrator, give it a new password, and end its logins and tokens. */
import { useState } from "react";
import { ops, type Account } from "../core/ops.ts";
import { opsPath, router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { IconButton } from "../components/controls.tsx";
import { BackIcon } from "../components/icons.tsx";
import { Logins, when } from "./Logins.tsx";
import { Asking, Chip, DataTable, Facts, Link, Loaded, Moment, Panel } from "./parts.tsx";
import { SecretDialog, type Secret } from "./Secret.tsx";
import { usePolled, within } from "./state.ts";

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
          account.data && (
            <Actions
              account={account.data}
              onDone={done}
              onSecret={(password) => setSecret({ email: account.data?.email ?? "", password })}
            />
          )
        }
      >
        <Loaded polled={account}>
          {(data) => (
            <Facts
              of={[
                [
                  "State",
                  data.disabled_at === null ? <Chip tone="good">enabled</Chip> : <Chip tone="warn">disabled</Chip>,
                ],
                ["Role", data.roles.includes("admin") ? "administrator" : "user"],
                ["Created", <Moment at={data.created_at} />],
                ["Last seen", when(data.last_seen_at)],
                ["Executions", <Link to={`${opsPath("executions")}?user=${encodeURIComponent(id)}`}>Show</Link>],
              ]}
            />
          )}
        </Loaded>
      </Panel>
      <Panel title="Logins" words="Browsers and programs that are signed in.">
        <Loaded polled={logins} empty={(data) => (data.items.length === 0 ? "Nobody is signed in." : null)}>
          {(data) => <Logins rows={data.items} onEnded={done("The login was ended.")} />}
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

function Actions({
  account: { id, roles, disabled_at },
  onDone,
  onSecret,
}: {
  readonly account: Account;
  readonly onDone: (text: string) => () => void;
  readonly onSecret: (password: string) => void;
}) {
  const me = useApp().user.id === id;
  return (
    <>
      <Asking
        label="New password"
        title="Give this user a new password?"
        words="A password is made and shown once. All their logins end."
        confirm="Make one"
        run={async () => onSecret((await ops.resetPassword(id)).password)}
        onDone={onDone("The password was changed.")}
      />
      {me ? null : roles.includes("admin") ? (
        <Asking
          label="Make an ordinary user"
          title="Take the administrator's role away?"
          words="They keep their conversations and lose this dashboard."
          confirm="Take it away"
          run={() => ops.changeUser(id, { admin: false })}
          onDone={onDone("They are an ordinary user now.")}
        />
      ) : (
        <Asking
          label="Make an administrator"
          title="Make this user an administrator?"
          words="They see this dashboard and can do everything on it."
          confirm="Make them one"
          run={() => ops.changeUser(id, { admin: true })}
          onDone={onDone("They are an administrator now.")}
        />
      )}
      {me ? null : disabled_at === null ? (
        <Asking
          label="Disable"
          title="Disable this user?"
          words="Their logins, sockets and tokens end at once. Nothing of theirs is deleted."
          confirm="Disable"
          run={() => ops.changeUser(id, { disabled: true })}
          onDone={onDone("The user was disabled.")}
        />
      ) : (
        <Asking
          label="Enable"
          danger={false}
          title="Enable this user?"
          words="They can sign in again."
          confirm="Enable"
          run={() => ops.changeUser(id, { disabled: false })}
          onDone={onDone("The user was enabled.")}
        />
      )}
    </>
  );
}
