/** The list of threads: pages from HTTP, kept current by `thread_changed` frames, searched by the server. */
import { api, Problem, type ThreadSummary } from "./api.ts";
import type { ThreadChanged } from "./protocol.gen.ts";

export interface ThreadsState {
  readonly items: ReadonlyArray<ThreadSummary>;
  readonly cursor: string | null;
  readonly query: string;
  readonly phase: "loading" | "ready" | "failed";
  readonly problem: string | null;
  /** Deleted on this page and still to be undone. */
  readonly hidden: ReadonlySet<string>;
  /** For each thread, the last seq this device has shown. */
  readonly read: ReadonlyMap<string, number>;
}

const READ_KEY = "netra.read";
const PAGE = 50;

/** Put a changed thread where it belongs: newest first, each id once. */
export function merge(items: ReadonlyArray<ThreadSummary>, change: ThreadChanged): ReadonlyArray<ThreadSummary> {
  const others = items.filter((each) => each.id !== change.id);
  if (change.deleted) return others;
  const before = items.find((each) => each.id === change.id);
  const changed: ThreadSummary = {
    ...(before ?? { id: change.id, created_at: change.updated_at }),
    title: change.title,
    updated_at: change.updated_at,
    last_seq: change.last_seq,
    running: change.running,
  };
  const at = others.findIndex((each) => each.updated_at < changed.updated_at);
  return at < 0 ? [...others, changed] : [...others.slice(0, at), changed, ...others.slice(at)];
}

export type Group = "Today" | "Last 7 days" | "Older";

/** Threads under the headings of the list, in order. */
export function grouped(
  items: ReadonlyArray<ThreadSummary>,
  now: number,
): ReadonlyArray<readonly [Group, ReadonlyArray<ThreadSummary>]> {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const groups = new Map<Group, ThreadSummary[]>();
  for (const item of items) {
    const at = Date.parse(item.updated_at);
    const group: Group = at >= midnight ? "Today" : at >= midnight - 6 * 86_400_000 ? "Last 7 days" : "Older";
    groups.set(group, [...(groups.get(group) ?? []), item]);
  }
  return [...groups];
}

export class Threads {
  state: ThreadsState = {
    items: [],
    cursor: null,
    query: "",
    phase: "loading",
    problem: null,
    hidden: new Set(),
    read: loadRead(),
  };
  #listeners = new Set<() => void>();
  #request = 0;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get = (): ThreadsState => this.state;

  async load(query = this.state.query): Promise<void> {
    const request = ++this.#request;
    this.#set({
      query,
      phase: this.state.items.length > 0 && query === this.state.query ? "ready" : "loading",
      problem: null,
    });
    try {
      const page = await api.threads(query.trim(), null, PAGE);
      if (request !== this.#request) return;
      const read = new Map(this.state.read);
      for (const item of page.items) if (!read.has(item.id)) read.set(item.id, item.last_seq);
      this.#set({ items: page.items, cursor: page.next_cursor, phase: "ready", read });
    } catch (error) {
      if (request === this.#request)
        this.#set({ phase: "failed", problem: error instanceof Problem ? error.message : String(error) });
    }
  }

  async more(): Promise<void> {
    const { cursor, query } = this.state;
    if (cursor === null) return;
    const request = ++this.#request;
    const page = await api.threads(query.trim(), cursor, PAGE);
    if (request !== this.#request) return;
    const known = new Set(this.state.items.map((each) => each.id));
    this.#set({
      items: [...this.state.items, ...page.items.filter((each) => !known.has(each.id))],
      cursor: page.next_cursor,
    });
  }

  changed(change: ThreadChanged): void {
    // A search shows what matched when it was asked; others join it only by a new search.
    const known = this.state.items.some((each) => each.id === change.id);
    if (this.state.query.trim() === "" || known) this.#set({ items: merge(this.state.items, change) });
    if (!this.state.read.has(change.id)) this.markRead(change.id, 0);
  }

  rename(id: string, title: string): void {
    this.#set({ items: this.state.items.map((each) => (each.id === id ? { ...each, title } : each)) });
  }

  hide(id: string, hidden: boolean): void {
    const next = new Set(this.state.hidden);
    if (hidden) next.add(id);
    else next.delete(id);
    this.#set({ hidden: next });
  }

  remove(id: string): void {
    this.#set({ items: this.state.items.filter((each) => each.id !== id) });
    this.hide(id, false);
  }

  markRead(id: string, seq: number): void {
    const before = this.state.read.get(id);
    if (before !== undefined && before >= seq) return;
    const read = new Map(this.state.read).set(id, seq);
    this.#set({ read });
    try {
      localStorage.setItem(READ_KEY, JSON.stringify([...read].slice(-500)));
    } catch {
      // Without storage, unread marks last as long as the page.
    }
  }

  #set(change: Partial<ThreadsState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function loadRead(): ReadonlyMap<string, number> {
  try {
    return new Map(JSON.parse(localStorage.getItem(READ_KEY) ?? "[]") as Array<[string, number]>);
  } catch {
    return new Map();
  }
}
