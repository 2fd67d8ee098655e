/** Who is signed in decides what is shown. Also home of what lies over every screen: login dialog, toasts, announcements. */
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { api, Problem, type Agents, type Me } from "../core/api.ts";
import { browserClient } from "../core/browser.ts";
import { adoptDraft } from "../core/drafts.ts";
import { humanise, plural } from "../core/format.ts";
import type { ThreadEvent, User } from "../core/protocol.gen.ts";
import { chatPath, parse, router } from "../core/route.ts";
import { settings } from "../core/settings.ts";
import { Threads } from "../core/threads.ts";
import { AppContext, type App, type Toast } from "./app.ts";
import { Chat } from "./Chat.tsx";
import { Button, Dialog } from "./controls.tsx";
import { Help } from "./Help.tsx";
import { CloseIcon, Mark } from "./icons.tsx";
import { Settings } from "./Settings.tsx";
import { Login, LoginForm, Register, Setup, SetupNeeded } from "./SignIn.tsx";

const TOAST_MS = 5000;
/** Few look at it: it is loaded when somebody does. */
const Ops = lazy(() => import("../ops/Ops.tsx"));
const Watch = lazy(() => import("../ops/Watch.tsx"));

const isPlace = (screen: string): boolean => screen === "chat" || screen === "settings" || screen === "ops";

export function Root() {
  const route = parse(useSyncExternalStore(router.subscribe, router.path));
  const [me, setMe] = useState<Me | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const load = useCallback(() => {
    setProblem(null);
    api.me().then(setMe, (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  }, []);
  useEffect(load, [load]);
  const signedIn = useCallback((user: User) => {
    setMe((before) => before && { ...before, user, setup_required: false });
    const screen = parse(router.path()).screen;
    if (!isPlace(screen) || router.path() === "/") router.go(chatPath(null), { replace: true });
  }, []);
  if (problem !== null) {
    return (
      <main className="sign">
        <div className="sign-card">
          <Mark size={36} />
          <h1>Netra cannot be reached</h1>
          <p className="sign-words">{problem}</p>
          <Button kind="primary" className="wide" onClick={load}>
            Try again
          </Button>
        </div>
      </main>
    );
  }
  if (me === null) {
    return (
      <div className="boot" role="status">
        <span className="visually-hidden">Loading Netra</span>
        <Mark size={36} />
      </div>
    );
  }
  if (me.user === null) {
    if (route.screen === "setup") return <Setup onDone={signedIn} />;
    if (me.setup_required) return <SetupNeeded />;
    if (route.screen === "register" && me.registration) return <Register onDone={signedIn} />;
    return <Login registration={me.registration} onDone={signedIn} />;
  }
  return <SignedIn key={me.user.id} me={me} user={me.user} onSignedOut={() => setMe({ ...me, user: null })} />;
}

function SignedIn({
  me,
  user,
  onSignedOut,
}: {
  readonly me: Me;
  readonly user: User;
  readonly onSignedOut: () => void;
}) {
  const route = parse(useSyncExternalStore(router.subscribe, router.path));
  const isAdmin = user.roles.includes("admin");
  const [agents, setAgents] = useState<Agents | null>(null);
  const [help, setHelp] = useState(false);
  const [expired, setExpired] = useState(false);
  const [toasts, setToasts] = useState<ReadonlyArray<Toast & { readonly key: number }>>([]);
  const [said, setSaid] = useState("");
  const toastKey = useRef(0);
  const onLive = useRef<(event: ThreadEvent) => void>(() => undefined);
  const announced = useRef(0);

  const threads = useMemo(() => new Threads(), []);
  const client = useMemo(
    () =>
      browserClient({
        onThreadChanged: (frame) => {
          threads.changed(frame);
          if (frame.deleted) leave(frame.id);
        },
        onThreadCreated: (threadId) => {
          const here = parse(router.path());
          if (here.screen !== "chat" || here.thread !== null) return;
          adoptDraft(threadId);
          router.go(chatPath(threadId), { replace: true });
        },
        onLiveEvent: (event) => onLive.current(event),
      }),
    [threads],
  );
  function leave(id: string): void {
    if (router.path() === chatPath(id)) router.go(chatPath(null), { replace: true });
    client.forget(id);
  }
  const phase = useSyncExternalStore(client.subscribe, () => client.state.connection.phase);
  const notice = useSyncExternalStore(client.subscribe, () => client.state.notice);

  onLive.current = (event) => {
    if (event.type === "agent_started") setSaid(`${humanise(event.agent_name ?? "agent")} started`);
    else if (event.type === "tool_executing" && Date.now() - announced.current > 3000) {
      announced.current = Date.now();
      setSaid(`Using ${humanise(event.tool_name)}`);
    } else if (event.type === "tool_completed" && !event.success)
      setSaid(`${humanise(event.tool_name)} failed. ${event.error?.message ?? ""}`);
    else if (event.type === "approval_requested") setSaid(`Approval needed. ${event.prompt}`);
    else if (event.type === "agent_completed") {
      const text = typeof event.final_response === "string" ? event.final_response : "";
      if (event.status !== "succeeded")
        setSaid(`The run ended: ${event.status.replace("_", " ")}. ${event.error?.message ?? ""}`);
      else if (settings.get().announceAnswers && text !== "") setSaid(`Answer: ${text}`);
      else setSaid(`Answer ready, ${plural(text.split(/\s+/).filter(Boolean).length, "word")}`);
    }
  };

  useEffect(() => {
    client.connect();
    void threads.load();
    const network = (): void => client.networkChanged();
    addEventListener("online", network);
    addEventListener("offline", network);
    return () => {
      removeEventListener("online", network);
      removeEventListener("offline", network);
    };
  }, [client, threads]);

  const toast = useCallback(
    (each: Toast) => setToasts((all) => [...all.slice(-2), { ...each, key: ++toastKey.current }]),
    [],
  );
  const failed = useCallback(
    (error: unknown) => {
      if (error instanceof Problem && error.status === 401) setExpired(true);
      else toast({ text: error instanceof Error ? error.message : String(error) });
    },
    [toast],
  );
  useEffect(() => {
    api.agents().then(setAgents, failed);
  }, [failed]);
  useEffect(() => {
    if (notice) toast({ text: notice.text });
  }, [notice, toast]);
  useEffect(() => {
    if (!isPlace(route.screen) || (route.screen === "ops" && !isAdmin) || router.path() === "/")
      router.go(chatPath(null), { replace: true });
  }, [route.screen, isAdmin]);

  const app: App = useMemo(
    () => ({
      me,
      user,
      client,
      threads,
      agents,
      toast,
      failed,
      async signOut() {
        try {
          await api.logout();
        } catch (error) {
          if (!(error instanceof Problem && error.status === 401)) return failed(error);
        }
        client.stop();
        sessionStorage.clear();
        router.go("/login");
        onSignedOut();
      },
    }),
    [me, user, client, threads, agents, toast, failed, onSignedOut],
  );

  const showHelp = useCallback(() => setHelp(true), []);
  const needsLogin = expired || phase === "signed_out";
  return (
    <AppContext value={app}>
      {route.screen === "settings" ? (
        <Settings />
      ) : route.screen === "ops" && isAdmin ? (
        <Suspense
          fallback={
            <div className="boot" role="status">
              <span className="visually-hidden">Loading</span>
            </div>
          }
        >
          <Ops panel={route.panel} id={route.id} />
        </Suspense>
      ) : (
        <Chat threadId={route.screen === "chat" ? route.thread : null} onHelp={showHelp} modal={help || needsLogin} />
      )}
      {isAdmin && (
        <Suspense fallback={null}>
          <Watch />
        </Suspense>
      )}
      {help && <Help onClose={() => setHelp(false)} />}
      {needsLogin && (
        <Dialog title="Sign in again" closable={false} onClose={() => undefined}>
          <p className="dialog-words">Your session has ended. What you wrote is still here.</p>
          <LoginForm
            email={user.email}
            onDone={(again) => {
              if (again.id !== user.id) {
                // Somebody else: nothing of the person before may stay.
                sessionStorage.clear();
                location.assign("/chat");
                return;
              }
              setExpired(false);
              client.connect();
              void threads.load();
              if (agents === null) api.agents().then(setAgents, failed);
            }}
          />
        </Dialog>
      )}
      <div className="toasts" role="status">
        {toasts.map((each) => (
          <ToastRow
            key={each.key}
            toast={each}
            onGone={() => setToasts((all) => all.filter((other) => other.key !== each.key))}
          />
        ))}
      </div>
      <div className="visually-hidden" role="log" aria-live="polite" aria-label="Announcements">
        {said}
      </div>
    </AppContext>
  );
}

function ToastRow({ toast, onGone }: { readonly toast: Toast; readonly onGone: () => void }) {
  const done = useRef(false);
  const gone = useRef(onGone);
  gone.current = onGone;
  const finish = useCallback(
    (acted: boolean) => {
      if (done.current) return;
      done.current = true;
      if (acted) toast.action?.run();
      else toast.onGone?.();
      gone.current();
    },
    [toast],
  );
  useEffect(() => {
    const timer = setTimeout(() => finish(false), toast.ms ?? TOAST_MS);
    return () => clearTimeout(timer);
  }, [toast, finish]);
  return (
    <div className="toast">
      <span>{toast.text}</span>
      {toast.action && (
        <button type="button" className="link-button" onClick={() => finish(true)}>
          {toast.action.label}
        </button>
      )}
      <button type="button" className="toast-close" aria-label="Dismiss" onClick={() => finish(false)}>
        <CloseIcon size={14} />
      </button>
    </div>
  );
}
