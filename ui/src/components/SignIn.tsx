/** Signing in, registering, and setting up the first administrator. */
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { api, Problem } from "../core/api.ts";
import type { User } from "../core/protocol.gen.ts";
import { router } from "../core/route.ts";
import { Button, Field } from "./controls.tsx";
import { AlertIcon, Mark } from "./icons.tsx";

const SHORTEST_PASSWORD = 12;

interface Submission {
  readonly busy: boolean;
  readonly problem: Problem | null;
  submit(event: FormEvent<HTMLFormElement>): void;
}

function useSubmission(action: (form: FormData) => Promise<User>, onDone: (user: User) => void): Submission {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  return {
    busy,
    problem,
    submit(event) {
      event.preventDefault();
      setBusy(true);
      setProblem(null);
      action(new FormData(event.currentTarget)).then(onDone, (error: unknown) => {
        setBusy(false);
        setProblem(error instanceof Problem ? error : new Problem(0, "unexpected", String(error)));
      });
    },
  };
}

function ProblemNote({
  problem,
  fields,
}: {
  readonly problem: Problem | null;
  readonly fields: ReadonlyArray<string>;
}) {
  if (!problem || (problem.field !== null && fields.includes(problem.field))) return null;
  return (
    <p className="form-problem" role="alert">
      <AlertIcon />
      <span>
        {problem.message}
        {problem.retryAfter !== null && ` Try again in ${problem.retryAfter} s.`}
      </span>
    </p>
  );
}

const at = (problem: Problem | null, field: string): string | null =>
  problem?.field === field ? problem.message : null;
const text = (form: FormData, name: string): string => String(form.get(name) ?? "");

function Frame({
  title,
  words,
  children,
  foot,
}: {
  readonly title: string;
  readonly words?: string;
  readonly children: ReactNode;
  readonly foot?: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Netra`;
  }, [title]);
  return (
    <main className="sign">
      <div className="sign-card">
        <Mark size={36} />
        <h1>{title}</h1>
        {words && <p className="sign-words">{words}</p>}
        {children}
        {foot && <p className="sign-foot">{foot}</p>}
      </div>
    </main>
  );
}

export function LoginForm({ onDone, email }: { readonly onDone: (user: User) => void; readonly email?: string }) {
  const form = useSubmission(
    async (data) => (await api.login(text(data, "email"), text(data, "password"))).user,
    onDone,
  );
  const element = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (form.problem) element.current?.querySelector<HTMLInputElement>("input[type=password]")?.select();
  }, [form.problem]);
  return (
    <form className="form" onSubmit={form.submit} ref={element}>
      <Field
        label="Email"
        name="email"
        type="email"
        autoComplete="username"
        required
        autoFocus={!email}
        defaultValue={email}
        problem={at(form.problem, "email")}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="current-password"
        required
        data-focus-first={email ? true : undefined}
        problem={at(form.problem, "password")}
      />
      <ProblemNote problem={form.problem} fields={["email", "password"]} />
      <Button type="submit" kind="primary" busy={form.busy} className="wide">
        Sign in
      </Button>
    </form>
  );
}

export function Login({
  registration,
  onDone,
}: {
  readonly registration: boolean;
  readonly onDone: (user: User) => void;
}) {
  return (
    <Frame
      title="Sign in to Netra"
      foot={
        registration && (
          <>
            No account yet?{" "}
            <a
              href="/register"
              onClick={(event) => {
                event.preventDefault();
                router.go("/register");
              }}
            >
              Register
            </a>
          </>
        )
      }
    >
      <LoginForm onDone={onDone} />
    </Frame>
  );
}

function Account({
  submit,
  label,
  problem,
  busy,
  note,
}: Submission & { readonly label: string; readonly note?: ReactNode }) {
  return (
    <form className="form" onSubmit={submit}>
      <Field label="Name" name="name" autoComplete="name" autoFocus maxLength={100} problem={at(problem, "name")} />
      <Field label="Email" name="email" type="email" autoComplete="username" required problem={at(problem, "email")} />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="new-password"
        required
        minLength={SHORTEST_PASSWORD}
        hint={`At least ${SHORTEST_PASSWORD} characters.`}
        problem={at(problem, "password")}
      />
      {note}
      <ProblemNote problem={problem} fields={["name", "email", "password"]} />
      <Button type="submit" kind="primary" busy={busy} className="wide">
        {label}
      </Button>
    </form>
  );
}

export function Register({ onDone }: { readonly onDone: (user: User) => void }) {
  const form = useSubmission(
    async (data) => (await api.register(text(data, "email"), text(data, "password"), text(data, "name"))).user,
    onDone,
  );
  return (
    <Frame
      title="Create your account"
      foot={
        <>
          Already registered?{" "}
          <a
            href="/login"
            onClick={(event) => {
              event.preventDefault();
              router.go("/login");
            }}
          >
            Sign in
          </a>
        </>
      }
    >
      <Account {...form} label="Create account" />
    </Frame>
  );
}

/** The token comes in the fragment of the printed link: it reaches neither the server's log nor, once read, the history. */
export function Setup({ onDone }: { readonly onDone: (user: User) => void }) {
  const [token] = useState(() => new URLSearchParams(location.hash.slice(1)).get("token") ?? "");
  useEffect(() => {
    if (location.hash) history.replaceState(null, "", location.pathname);
  }, []);
  const form = useSubmission(
    async (data) =>
      (await api.setup(token || text(data, "token"), text(data, "email"), text(data, "password"), text(data, "name")))
        .user,
    onDone,
  );
  return (
    <Frame
      title="Set up Netra"
      words="Create the first administrator. This can be done once, with the link the server printed when it started."
    >
      <Account
        {...form}
        label="Create administrator"
        note={
          token === "" && (
            <Field
              label="Setup token"
              name="token"
              required
              autoComplete="off"
              hint="The part after #token= of the link in the server's output."
              problem={at(form.problem, "token")}
            />
          )
        }
      />
    </Frame>
  );
}

export function SetupNeeded() {
  return (
    <Frame
      title="Netra is not set up yet"
      words="No administrator exists. Open the one-time link that the server printed when it started: it ends in /setup#token=…"
    >
      <Button kind="secondary" className="wide" onClick={() => router.go("/setup")}>
        I have the token
      </Button>
    </Frame>
  );
}
