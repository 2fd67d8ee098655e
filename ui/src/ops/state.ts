/** What the panels share: the time range and the live switch in the address, polling, and the pushed picture. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Problem, type Page } from "../core/api.ts";
import type { Operations } from "../core/protocol.gen.ts";
import { opsPath, router } from "../core/route.ts";
import { useApp, useClient } from "../components/app.ts";

export const RANGES: ReadonlyArray<readonly [number, string]> = [
  [15, "15 m"],
  [60, "1 h"],
  [360, "6 h"],
  [1440, "24 h"],
  [10_080, "7 d"],
];
const BEAT_MS = 1000;
/** Missed beats after which what is shown is called stale. */
const MISSED = 3;

/** The address of a panel, or of one thing in it, with what holds for all of them: the live switch, and with `whole` the
 * filters too, so that the way back leads to the same list. */
export function within(panel: string, id: string | null = null, whole = false): string {
  const here = new URLSearchParams(router.search());
  const kept = whole ? here : new URLSearchParams([...here].filter(([key]) => key === "live" || key === "range"));
  return opsPath(panel, id) + (kept.size === 0 ? "" : `?${kept}`);
}

/** The address's parameters, and a way to change some of them (null removes one). */
export function useQuery(): readonly [URLSearchParams, (change: Readonly<Record<string, string | null>>) => void] {
  const search = useSyncExternalStore(router.subscribe, router.search);
  const change = useCallback((changes: Readonly<Record<string, string | null>>) => {
    const next = new URLSearchParams(router.search());
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === "") next.delete(key);
      else next.set(key, value);
    }
    const text = next.toString();
    router.go(router.path() + (text === "" ? "" : `?${text}`), { replace: true });
  }, []);
  return [new URLSearchParams(search), change];
}

export function useRange(): number {
  const [query] = useQuery();
  const asked = Number(query.get("range"));
  return RANGES.some(([minutes]) => minutes === asked) ? asked : 60;
}

export function useIsLive(): boolean {
  const [query] = useQuery();
  return query.get("live") !== "off";
}

export interface Polled<T> {
  readonly data: T | null;
  readonly problem: Problem | null;
  readonly loading: boolean;
  readonly reload: () => void;
}

/** Ask now, when `key` changes, and every `everyMs` while the page is seen. What was known stays while it is asked again. */
export function usePolled<T>(ask: () => Promise<T>, key: string, everyMs: number | null): Polled<T> {
  const app = useApp();
  const [state, setState] = useState<{ data: T | null; problem: Problem | null; loading: boolean }>({
    data: null,
    problem: null,
    loading: true,
  });
  const asking = useRef(ask);
  asking.current = ask;
  const number = useRef(0);
  const reload = useCallback(() => {
    const mine = ++number.current;
    asking.current().then(
      (data) => mine === number.current && setState({ data, problem: null, loading: false }),
      (error: unknown) => {
        if (mine !== number.current) return;
        if (error instanceof Problem && error.status === 401) app.failed(error);
        const problem = error instanceof Problem ? error : new Problem(0, "unexpected", String(error));
        setState((before) => ({ ...before, problem, loading: false }));
      },
    );
  }, [app]);
  useEffect(() => {
    setState((before) => ({ ...before, data: null, loading: true }));
    reload();
    return () => void number.current++;
  }, [key, reload]);
  useEffect(() => {
    if (everyMs === null) return;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  return { ...state, reload };
}

/** A list that is asked for page by page. */
export interface Pages<T> {
  /** Of all pages so far. */
  readonly rows: ReadonlyArray<T>;
  /** The cursor of the next page; null after the last one. */
  readonly next: string | null;
  readonly busy: boolean;
  readonly more: () => void;
}

/** The pages from `first` on, which may be asked for again and again; only it when `key` changes. */
export function usePages<T extends { readonly id: string }>(
  key: string,
  first: Page<T> | null,
  ask: (cursor: string) => Promise<Page<T>>,
): Pages<T> {
  const app = useApp();
  const [got, setGot] = useState<{ readonly key: string; readonly page: Page<T> } | null>(null);
  const [busy, setBusy] = useState(false);
  const further = got?.key === key ? got.page : null;
  const known = new Set(first?.items.map((each) => each.id));
  const rows = [...(first?.items ?? []), ...(further?.items.filter((each) => !known.has(each.id)) ?? [])];
  const next = (further ?? first)?.next_cursor ?? null;
  const more = async (): Promise<void> => {
    if (next === null) return;
    setBusy(true);
    try {
      const page = await ask(next);
      // With what is shown by now: the first page moves on, and would leave a gap before this one.
      setGot({ key, page: { items: [...rows, ...page.items], next_cursor: page.next_cursor } });
    } catch (error) {
      app.failed(error);
    }
    setBusy(false);
  };
  return { rows, next, busy, more: () => void more() };
}

export interface Live {
  readonly picture: Operations | null;
  /** Milliseconds since it came; without one, since it was asked for. */
  readonly age: number;
  readonly stale: boolean;
  /** Whether the connection stands. */
  readonly connected: boolean;
}

/** The picture that the server pushes once a second, while `on`. */
export function useOperations(on: boolean): Live {
  const { client } = useApp();
  const connected = useClient(client).connection.phase === "open";
  const [live, setLive] = useState<{ picture: Operations; at: number } | null>(null);
  const [now, setNow] = useState(() => Date.now());
  const [since, setSince] = useState(now);
  useEffect(() => setSince(Date.now()), [on]);
  useEffect(
    () => (on ? client.watchOperations((picture) => setLive({ picture, at: Date.now() })) : undefined),
    [client, on],
  );
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), BEAT_MS);
    return () => clearInterval(timer);
  }, []);
  const age = Math.max(0, now - Math.max(live?.at ?? 0, since));
  return {
    picture: live?.picture ?? null,
    age,
    connected,
    stale: on && (age > MISSED * BEAT_MS + 500 || (live !== null && !connected)),
  };
}
