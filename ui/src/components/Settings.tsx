/** How the page looks and speaks on this device, the password, and tokens for programs. */
import { useCallback, useEffect, useId, useState, type FormEvent, type ReactNode } from "react";
import { api, Problem, type AccessToken, type NewAccessToken } from "../core/api.ts";
import { ago } from "../core/format.ts";
import { chatPath, router } from "../core/route.ts";
import { settings } from "../core/settings.ts";
import { useApp, useSettings } from "./app.ts";
import { Button, CopyButton, Dialog, Field, IconButton } from "./controls.tsx";
import { ShortcutList } from "./Help.tsx";
import { AlertIcon, BackIcon, KeyIcon, TrashIcon } from "./icons.tsx";

export function Settings() {
  const { me } = useApp();
  const chosen = useSettings();
  useEffect(() => {
    document.title = "Settings · Netra";
  }, []);
  return (
    <div className="settings">
      <header className="bar">
        <IconButton
          label="Back to the conversation"
          onClick={() => (history.length > 1 ? history.back() : router.go(chatPath(null)))}
        >
          <BackIcon />
        </IconButton>
        <h1 className="bar-title">Settings</h1>
      </header>
      <main className="settings-body">
        <Section title="Appearance" words="Kept on this device.">
          <Choice
            label="Theme"
            value={chosen.theme}
            options={[
              ["system", "System"],
              ["light", "Light"],
              ["dark", "Dark"],
            ]}
            onChange={(theme) => settings.set({ theme })}
          />
          <Choice
            label="Density"
            value={chosen.density}
            options={[
              ["comfortable", "Comfortable"],
              ["compact", "Compact"],
            ]}
            onChange={(density) => settings.set({ density })}
          />
        </Section>
        <Section title="Accessibility" words="Screen readers hear when a run starts, fails and ends.">
          <Switch
            label="Announce answers"
            words="Also read the whole answer out when it is complete."
            on={chosen.announceAnswers}
            onChange={(announceAnswers) => settings.set({ announceAnswers })}
          />
          <Switch
            label="Single-key shortcuts"
            words="/, E and ? work while no field has the focus."
            on={chosen.singleKeys}
            onChange={(singleKeys) => settings.set({ singleKeys })}
          />
        </Section>
        <Password />
        <Tokens />
        <Section title="Shortcuts">
          <ShortcutList />
        </Section>
        <p className="settings-version">Netra {me.version}</p>
      </main>
    </div>
  );
}

function Section({
  title,
  words,
  children,
}: {
  readonly title: string;
  readonly words?: string;
  readonly children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="settings-section" aria-labelledby={id}>
      <div className="settings-title">
        <h2 id={id}>{title}</h2>
        {words && <p>{words}</p>}
      </div>
      <div className="settings-card">{children}</div>
    </section>
  );
}

function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  readonly label: string;
  readonly value: T;
  readonly options: ReadonlyArray<readonly [T, string]>;
  readonly onChange: (value: T) => void;
}) {
  const id = useId();
  return (
    <div className="setting" role="radiogroup" aria-labelledby={id}>
      <span id={id} className="setting-label">
        {label}
      </span>
      <div className="segments">
        {options.map(([each, words]) => (
          <label key={each} className="segment">
            <input type="radio" name={id} checked={value === each} onChange={() => onChange(each)} />
            <span>{words}</span>
          </label>
        ))}
      </div>
    </div>
  );
}

function Switch({
  label,
  words,
  on,
  onChange,
}: {
  readonly label: string;
  readonly words: string;
  readonly on: boolean;
  readonly onChange: (on: boolean) => void;
}) {
  const id = useId();
  return (
    <div className="setting">
      <label htmlFor={id} className="setting-label">
        {label}
        <span className="setting-words">{words}</span>
      </label>
      <input
        id={id}
        className="switch"
        type="checkbox"
        role="switch"
        checked={on}
        onChange={(event) => onChange(event.target.checked)}
      />
    </div>
  );
}

function Password() {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    setProblem(null);
    try {
      await api.changePassword(String(data.get("current")), String(data.get("new")));
      form.reset();
      app.toast({ text: "Password changed. Your other sessions were ended." });
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, "unexpected", String(error)));
    }
    setBusy(false);
  };
  return (
    <Section title="Password" words="Changing it ends your other sessions.">
      <form className="form" onSubmit={(event) => void submit(event)}>
        <input type="hidden" name="username" autoComplete="username" value={app.user.email} readOnly />
        <Field
          label="Current password"
          name="current"
          type="password"
          autoComplete="current-password"
          required
          problem={problem?.field === "current" ? problem.message : null}
        />
        <Field
          label="New password"
          name="new"
          type="password"
          autoComplete="new-password"
          required
          minLength={12}
          hint="At least 12 characters."
          problem={problem?.field === "new" ? problem.message : null}
        />
        {problem && problem.field !== "current" && problem.field !== "new" && (
          <p className="form-problem" role="alert">
            <AlertIcon />
            <span>{problem.message}</span>
          </p>
        )}
        <div className="form-actions">
          <Button type="submit" kind="primary" busy={busy}>
            Change password
          </Button>
        </div>
      </form>
    </Section>
  );
}

const LIFETIMES: ReadonlyArray<readonly [string, number | null]> = [
  ["30 days", 30 * 86_400],
  ["90 days", 90 * 86_400],
  ["1 year", 365 * 86_400],
  ["No expiry", null],
];

function Tokens() {
  const app = useApp();
  const [items, setItems] = useState<ReadonlyArray<AccessToken> | null>(null);
  const [fresh, setFresh] = useState<NewAccessToken | null>(null);
  const [revoking, setRevoking] = useState<AccessToken | null>(null);
  const [busy, setBusy] = useState(false);
  const { failed } = app;
  const load = useCallback(async () => {
    try {
      setItems((await api.tokens()).items);
    } catch (error) {
      failed(error);
    }
  }, [failed]);
  useEffect(() => void load(), [load]);
  const create = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    try {
      setFresh(
        await api.createToken(String(data.get("name")).trim(), LIFETIMES[Number(data.get("life"))]?.[1] ?? null),
      );
      form.reset();
      await load();
    } catch (error) {
      app.failed(error);
    }
    setBusy(false);
  };
  const life = useId();
  return (
    <Section title="Access tokens" words="For programs that use the API as you. A token is shown once.">
      <form className="form token-form" onSubmit={(event) => void create(event)}>
        <Field label="Name" name="name" required maxLength={100} placeholder="What will use it" autoComplete="off" />
        <div className="field">
          <label htmlFor={life}>Expires</label>
          <select id={life} name="life" defaultValue="1">
            {LIFETIMES.map(([words], index) => (
              <option key={words} value={index}>
                {words}
              </option>
            ))}
          </select>
        </div>
        <Button type="submit" busy={busy}>
          Create token
        </Button>
      </form>
      {items !== null && items.length > 0 && (
        <ul className="tokens">
          {items.map((item) => (
            <li key={item.id}>
              <KeyIcon />
              <span className="token-words">
                <span className="token-name">{item.name}</span>
                <span className="token-facts">
                  <code>{item.prefix}…</code>
                  {item.last_used_at ? `used ${ago(Date.parse(item.last_used_at), Date.now())}` : "never used"}
                  {item.expires_at ? `, until ${new Date(item.expires_at).toLocaleDateString()}` : ", no expiry"}
                </span>
              </span>
              <IconButton label={`Revoke ${item.name}`} onClick={() => setRevoking(item)}>
                <TrashIcon />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {fresh && (
        <Dialog title="Your new token" onClose={() => setFresh(null)}>
          <p className="dialog-words">Copy it now. It is not shown again, and whoever has it can act as you.</p>
          <div className="secret">
            <code tabIndex={0}>{fresh.token}</code>
            <CopyButton text={() => fresh.token} />
          </div>
          <div className="form-actions">
            <Button kind="primary" onClick={() => setFresh(null)}>
              Done
            </Button>
          </div>
        </Dialog>
      )}
      {revoking && (
        <Dialog title="Revoke token" onClose={() => setRevoking(null)}>
          <p className="dialog-words">Programs that use “{revoking.name}” stop working at once.</p>
          <div className="form-actions">
            <Button onClick={() => setRevoking(null)}>Cancel</Button>
            <Button
              kind="danger"
              onClick={() => {
                setRevoking(null);
                api.deleteToken(revoking.id).then(load, app.failed);
              }}
            >
              Revoke
            </Button>
          </div>
        </Dialog>
      )}
    </Section>
  );
}
