/**
 * What the page talks to: threads as state, commands as calls. It owns the one `Connection`, applies the reader rule to
 * every event of the open thread, asks again when something is missing, keeps unacknowledged messages in an outbox and
 * sends them again (same id, so never twice) after a reconnect. Components subscribe to `state`; nothing here knows React.
 */
import type { Connection, ConnectionState, Frame, Surroundings } from "./connection.ts";
import { Connection as SocketConnection } from "./connection.ts";
import type {
  ApprovalRequested,
  Attachment,
  ConnectionEstablished,
  ErrorFrame,
  Limits,
  Operations,
  SendMessage,
  ThreadChanged,
  ThreadEvent,
} from "./protocol.gen.ts";
import { apply, emptyThread, reading, type ThreadState } from "./thread.ts";

export type PendingStatus = "waiting" | "sending" | "sent" | "failed";

/** A message the user has sent and the log has not shown yet. */
export interface Pending {
  readonly id: string;
  /** Null until the server has made the thread. */
  readonly threadId: string | null;
  readonly content: string;
  readonly agent: string | null;
  readonly attachments: ReadonlyArray<Attachment>;
  readonly status: PendingStatus;
  /** Why it was not sent, for people. */
  readonly problem: string | null;
  readonly sentAt: number;
  /** The seq of its `user_message`, once acknowledged. */
  readonly seq: number | null;
}

export interface ClientState {
  readonly connection: ConnectionState;
  /** Server time minus ours, in milliseconds. */
  readonly clockOffset: number;
  readonly limits: Limits | null;
  readonly thread: ThreadState | null;
  /** The log has been replayed to its head at least once since the thread was opened. */
  readonly loaded: boolean;
  /** The thread does not exist (or is somebody else's: the same answer). */
  readonly missing: boolean;
  readonly outbox: ReadonlyArray<Pending>;
  readonly stopping: { readonly runId: string; readonly at: number } | null;
  /** How many events the last resume brought; shown for a moment. */
  readonly caughtUp: number | null;
  /** Until when the server wants no more messages, in milliseconds of our clock. */
  readonly heldUntil: number | null;
  readonly notice: Notice | null;
}

export interface Notice {
  readonly key: number;
  readonly text: string;
}

export interface ClientSurroundings extends Surroundings {
  newId(): string;
  /** Called once when frames wait to be applied; must call `flush` soon (on a frame, or by timer when hidden). */
  scheduleFlush(flush: () => void): void;
  onThreadChanged(frame: ThreadChanged): void;
  /** A message was stored in a thread that did not exist before. */
  onThreadCreated(threadId: string, pending: Pending): void;
  /** Called with each event of the open thread that happened now, not in replay. */
  onLiveEvent(event: ThreadEvent): void;
  /** The outbox survives a reload of the page. */
  loadOutbox(): ReadonlyArray<Pending>;
  saveOutbox(outbox: ReadonlyArray<Pending>): void;
}

const ACK_MS = 10_000;
const KEPT_THREADS = 6;

export class Client {
  state: ClientState;
  readonly stats = { frames: 0, flushes: 0, duplicates: 0, gaps: 0 };
  #around: ClientSurroundings;
  #connection: Connection;
  #listeners = new Set<() => void>();
  #queue: ThreadEvent[] = [];
  readonly #watchers = new Set<(picture: Operations) => void>();
  #flushing = false;
  #begun: string | null = null;
  #live = false;
  #resumedAt: number | null = null;
  #applied = 0;
  /** Recently open threads; opening one again asks only for what came after. */
  #kept = new Map<string, ThreadState>();
  #timers = new Map<string, () => void>();
  #notices = 0;
  #asking = false;
  /** After which seq the subscription was asked for. */
  #asked = 0;

  constructor(around: ClientSurroundings) {
    this.#around = around;
    this.#connection = new SocketConnection(around, {
      onState: (connection) => this.#connectionChanged(connection),
      onEstablished: (frame) => this.#established(frame),
      onFrame: (frame) => this.#receive(frame),
    });
    this.state = {
      connection: this.#connection.state,
      clockOffset: 0,
      limits: null,
      thread: null,
      loaded: false,
      missing: false,
      outbox: around.loadOutbox().map((each) => (each.status === "sending" ? { ...each, status: "waiting" } : each)),
      stopping: null,
      caughtUp: null,
      heldUntil: null,
      notice: null,
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get = (): ClientState => this.state;

  connect(): void {
    this.#connection.connect();
  }

  networkChanged(): void {
    this.#connection.networkChanged();
  }

  /** Forget everything that belongs to the user: signing out. */
  stop(): void {
    this.#connection.stop();
    this.#kept.clear();
    this.#queue = [];
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#around.saveOutbox([]);
    this.#set({
      thread: null,
      loaded: false,
      missing: false,
      outbox: [],
      stopping: null,
      caughtUp: null,
      heldUntil: null,
    });
  }

  /** Show a thread, or none (`null`: the start of a new conversation). */
  open(threadId: string | null): void {
    const before = this.state.thread;
    if ((before?.threadId ?? null) === threadId && !this.state.missing) return;
    if (before) {
      this.#keep(before);
      this.#connection.send({ type: "unsubscribe", thread_id: before.threadId });
    }
    this.#queue = [];
    this.#live = false;
    this.#resumedAt = null;
    const kept = threadId === null ? undefined : this.#kept.get(threadId);
    const thread = threadId === null ? null : (kept ?? emptyThread(threadId));
    this.#set({
      thread,
      loaded: threadId === null || kept !== undefined,
      missing: false,
      stopping: null,
      caughtUp: null,
    });
    this.#ask();
  }

  /** Forget a thread that was deleted. */
  forget(threadId: string): void {
    this.#kept.delete(threadId);
    if (this.state.thread?.threadId === threadId) this.open(null);
  }

  /** Send a message; shown at once, resolved by its event in the log. */
  send(content: string, options: { agent?: string | null; attachments?: ReadonlyArray<Attachment> } = {}): Pending {
    const pending: Pending = {
      id: this.#around.newId(),
      threadId: this.state.thread?.threadId ?? null,
      content,
      agent: options.agent ?? null,
      attachments: options.attachments ?? [],
      status: "waiting",
      problem: null,
      sentAt: this.#around.now(),
      seq: null,
    };
    this.#setOutbox([...this.state.outbox, pending]);
    this.#transmit(pending.id);
    return pending;
  }

  /** Try a failed message again, with the same id: it cannot arrive twice. */
  retry(id: string): void {
    this.#patchPending(id, { problem: null, status: "waiting" });
    this.#transmit(id);
  }

  discard(id: string): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    this.#setOutbox(this.state.outbox.filter((each) => each.id !== id));
  }

  cancel(runId: string): boolean {
    if (!this.#connection.send({ type: "cancel_run", run_id: runId })) return false;
    this.#set({ stopping: { runId, at: this.#around.now() } });
    return true;
  }

  resolve(approvalId: ApprovalRequested["approval_id"], decision: string, payload?: unknown): boolean {
    return this.#connection.send({
      type: "resolve_approval",
      approval_id: approvalId,
      decision,
      ...(payload === undefined ? {} : { payload }),
    });
  }

  dismissNotice(): void {
    this.#set({ notice: null });
  }

  notify(text: string): void {
    this.#set({ notice: { key: ++this.#notices, text } });
  }

  // Connection

  #connectionChanged(connection: ConnectionState): void {
    const lost = this.state.connection.phase === "open" && connection.phase !== "open";
    this.#set({ connection });
    if (!lost) return;
    this.#live = false;
    this.#asking = false;
    this.#flush();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#setOutbox(
      this.state.outbox.map((each) => (each.status === "sending" ? { ...each, status: "waiting" } : each)),
    );
    this.#set({ stopping: null });
  }

  #established(frame: ConnectionEstablished): void {
    this.#set({ clockOffset: Date.parse(frame.server_time) - this.#around.now(), limits: frame.limits });
    this.#resumedAt = this.state.loaded && this.state.thread ? this.#applied : null;
    this.#ask();
    for (const pending of this.state.outbox) if (pending.status === "waiting") this.#transmit(pending.id);
    if (this.#watchers.size > 0) this.#connection.send({ type: "watch_operations", on: true });
  }

  #ask(): void {
    const thread = this.state.thread;
    if (!thread) return;
    this.#asked = thread.lastSeq;
    this.#asking = this.#connection.send({ type: "subscribe", thread_id: thread.threadId, after: thread.lastSeq });
  }

  /** Call `watcher` with a picture of the server once a second, also after a reconnect, until the result is called. */
  watchOperations(watcher: (picture: Operations) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#connection.send({ type: "watch_operations", on: true });
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0)
        this.#connection.send({ type: "watch_operations", on: false });
    };
  }

  // Frames

  #receive(frame: Frame): void {
    this.stats.frames++;
    switch (frame.type) {
      case "ack":
        if (frame.id != null) this.#acknowledged(frame.id, frame.thread_id ?? null, frame.seq ?? null);
        return;
      case "live":
        if (frame.thread_id === this.state.thread?.threadId) this.#reachedHead();
        return;
      case "resync":
        if (frame.thread_id === this.state.thread?.threadId) {
          this.#flush();
          this.#live = false;
          // Our own position is the truth: the server may name an older one, and duplicates cost nothing but time. Unless
          // its log ends before what we asked for: it was restored from a backup, and ours is not its beginning.
          if (frame.after < this.#asked) this.#set({ thread: emptyThread(frame.thread_id), loaded: false });
          this.#ask();
        }
        return;
      case "thread_changed":
        this.#around.onThreadChanged(frame);
        return;
      case "error":
        this.#failed(frame);
        return;
      case "pong":
        return;
      case "draining":
      case "connection_established":
      case "quality_metrics":
      case "quality_alert":
      case "content_validation":
      case "quality_report":
        return;
      case "operations":
        this.#watchers.forEach((watcher) => watcher(frame));
        return;
      default:
        if (typeof frame.seq === "number" && frame.thread_id === this.state.thread?.threadId) this.#enqueue(frame);
    }
  }

  #enqueue(event: ThreadEvent): void {
    this.#queue.push(event);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#around.scheduleFlush(() => this.#flush());
  }

  /** Apply what has arrived, in one change of state. */
  #flush(): void {
    this.#flushing = false;
    const events = this.#queue;
    if (events.length === 0) return;
    this.#queue = [];
    let thread = this.state.thread;
    if (!thread) return;
    this.stats.flushes++;
    const fresh: ThreadEvent[] = [];
    let missing = false;
    for (const event of events) {
      if (event.thread_id !== thread.threadId) continue;
      const verdict = reading(thread.lastSeq, event);
      if (verdict === "duplicate") {
        this.stats.duplicates++;
        continue;
      }
      if (verdict === "gap") {
        missing = true;
        continue;
      }
      thread = apply(thread, event);
      fresh.push(event);
    }
    this.#applied += fresh.length;
    let { stopping } = this.state;
    const ended = fresh.some((event) => event.type === "agent_completed" && event.run_id === stopping?.runId);
    if (ended) stopping = null;
    const outbox = settle(this.state.outbox, fresh, thread);
    if (outbox !== this.state.outbox) this.#around.saveOutbox(outbox);
    if (fresh.length > 0) this.#set({ thread, stopping, outbox });
    // In a thread that this page has just begun everything is news, also what came before the subscription was answered.
    if (this.#live || thread.threadId === this.#begun) for (const event of fresh) this.#around.onLiveEvent(event);
    if (missing && !this.#asking) {
      this.stats.gaps++;
      this.#live = false;
      this.#ask();
    }
  }

  #reachedHead(): void {
    this.#flush();
    this.#live = true;
    this.#begun = null;
    this.#asking = false;
    const before = this.#resumedAt;
    this.#resumedAt = null;
    this.#set({ loaded: true });
    if (before !== null) {
      this.#set({ caughtUp: this.#applied - before });
      this.#around.after(2500, () => this.#set({ caughtUp: null }));
    }
  }

  #failed(frame: ErrorFrame): void {
    const words = frame.hint ? `${frame.message} ${frame.hint}` : frame.message;
    const pending = frame.id == null ? undefined : this.state.outbox.find((each) => each.id === frame.id);
    if (pending) {
      this.#timers.get(pending.id)?.();
      this.#timers.delete(pending.id);
      this.#patchPending(pending.id, { status: "failed", problem: words });
      if (frame.retry_after_seconds != null) this.#hold(frame.retry_after_seconds);
      return;
    }
    if (frame.code === "not_found" && frame.thread_id != null && frame.thread_id === this.state.thread?.threadId) {
      this.#kept.delete(frame.thread_id);
      this.#set({ missing: true, loaded: true });
      return;
    }
    if (frame.retry_after_seconds != null) this.#hold(frame.retry_after_seconds);
    this.#set({ stopping: null });
    this.notify(words);
  }

  #hold(seconds: number): void {
    this.#set({ heldUntil: this.#around.now() + seconds * 1000 });
    this.#around.after(seconds * 1000, () => this.#set({ heldUntil: null }));
  }

  // Outbox

  #transmit(id: string): void {
    const pending = this.state.outbox.find((each) => each.id === id);
    if (!pending) return;
    const command: SendMessage = {
      type: "user_message",
      id: pending.id,
      content: pending.content,
      ...(pending.threadId === null ? {} : { thread_id: pending.threadId }),
      ...(pending.agent === null ? {} : { agent: pending.agent }),
      ...(pending.attachments.length === 0 ? {} : { attachments: pending.attachments.map((each) => each.id) }),
    };
    if (!this.#connection.send(command)) return;
    this.#patchPending(id, { status: "sending", problem: null });
    this.#timers.get(id)?.();
    this.#timers.set(
      id,
      this.#around.after(ACK_MS, () =>
        this.#patchPending(id, { status: "failed", problem: "No answer from the server." }),
      ),
    );
  }

  #acknowledged(id: string, threadId: string | null, seq: number | null): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    const pending = this.state.outbox.find((each) => each.id === id);
    if (!pending) return;
    const acked: Pending = { ...pending, status: "sent", threadId: threadId ?? pending.threadId, seq };
    const created = pending.threadId === null && threadId !== null;
    const shown =
      !created && seq !== null && this.state.thread?.threadId === threadId && this.state.thread.lastSeq >= seq;
    // A message of a thread that is not open needs no row: its log has it.
    const elsewhere = created ? this.state.thread !== null : this.state.thread?.threadId !== threadId;
    this.#setOutbox(
      shown || elsewhere
        ? this.state.outbox.filter((each) => each.id !== id)
        : this.state.outbox.map((each) => (each.id === id ? acked : each)),
    );
    if (created) {
      this.#begun = threadId;
      this.#around.onThreadCreated(threadId, acked);
    }
  }

  #patchPending(id: string, change: Partial<Pending>): void {
    this.#setOutbox(this.state.outbox.map((each) => (each.id === id ? { ...each, ...change } : each)));
  }

  #setOutbox(outbox: ReadonlyArray<Pending>): void {
    this.#set({ outbox });
    this.#around.saveOutbox(outbox);
  }

  #keep(thread: ThreadState): void {
    this.#kept.delete(thread.threadId);
    this.#kept.set(thread.threadId, thread);
    for (const key of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_THREADS) break;
      this.#kept.delete(key);
    }
  }

  #set(change: Partial<ClientState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Take out of the outbox what the log now shows. An acknowledged message goes by its seq. The event may also come before
 * the acknowledgement; then the oldest message with the same words and files is the one.
 */
function settle(
  outbox: ReadonlyArray<Pending>,
  events: ReadonlyArray<ThreadEvent>,
  thread: ThreadState,
): ReadonlyArray<Pending> {
  let left = outbox.filter(
    (each) => !(each.threadId === thread.threadId && each.seq !== null && each.seq <= thread.lastSeq),
  );
  for (const event of events) {
    if (event.type !== "user_message") continue;
    const at = left.findIndex(
      (each) =>
        each.id === event.message_id ||
        (each.threadId === event.thread_id &&
          each.seq === null &&
          each.content === event.content &&
          each.attachments.length === event.attachments.length &&
          each.attachments.every((file, index) => file.id === event.attachments[index]?.id)),
    );
    if (at >= 0) left = left.filter((_, index) => index !== at);
  }
  return left.length === outbox.length ? outbox : left;
}
