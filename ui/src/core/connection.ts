/**
 * One socket, kept alive. It authenticates by the login cookie, reconnects with growing pauses, answers for the
 * heartbeat, and says in `ConnectionState` what is going on. It knows frames, not threads: `ThreadClient` in client.ts
 * is its only user. Time, randomness and the socket itself come from outside, so that tests drive it without waiting.
 */
import { PROTOCOL } from "./protocol.gen.ts";
import type { Command, ConnectionEstablished, ServerFrame, ThreadEvent } from "./protocol.gen.ts";

export type Frame = ServerFrame | ThreadEvent;

export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: unknown) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason?: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Surroundings {
  open(protocol: string): SocketLike;
  now(): number;
  /** In [0, 1). */
  random(): number;
  after(ms: number, action: () => void): () => void;
  online(): boolean;
  /** Is anybody signed in? Asked when a socket closes before it opened: browsers hide the reason. Null: no answer. */
  signedIn(): Promise<boolean | null>;
}

export type Phase = "idle" | "connecting" | "open" | "waiting" | "offline" | "signed_out" | "refused";
export type Trouble = "lost" | "restarting" | "too_many" | "origin";

export interface ConnectionState {
  readonly phase: Phase;
  /** Failed attempts since the last time it was open. */
  readonly attempt: number;
  readonly trouble: Trouble | null;
  /** When the next attempt is due, in milliseconds of `now()`; set while waiting. */
  readonly retryAt: number | null;
}

export interface ConnectionHandlers {
  onState(state: ConnectionState): void;
  onEstablished(frame: ConnectionEstablished): void;
  onFrame(frame: Frame): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
const OPEN = 1;

/** The pause before attempt `attempt` (1, 2, …): 0.25 s, doubled each time up to 15 s, and between half and all of that. */
export function pause(attempt: number, random: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + random / 2);
}

export class Connection {
  state: ConnectionState = { phase: "idle", attempt: 0, trouble: null, retryAt: null };
  #around: Surroundings;
  #handlers: ConnectionHandlers;
  #socket: SocketLike | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelBeat: (() => void) | null = null;
  #lastHeard = 0;
  #drainMs: number | null = null;
  #established = false;

  constructor(around: Surroundings, handlers: ConnectionHandlers) {
    this.#around = around;
    this.#handlers = handlers;
  }

  /** Begin, or begin again at once: after signing in, when the network is back, or when the user does not want to wait. */
  connect(): void {
    if (this.#socket) return;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    if (!this.#around.online()) {
      this.#set({ phase: "offline", retryAt: null });
      return;
    }
    this.#set({ phase: "connecting", retryAt: null });
    this.#established = false;
    const socket = this.#around.open(PROTOCOL);
    this.#socket = socket;
    this.#lastHeard = this.#around.now();
    socket.onmessage = (event) => this.#receive(socket, event.data);
    socket.onclose = (event) => this.#closed(socket, event.code);
    socket.onerror = () => undefined; // A close event always follows and carries the code.
  }

  /** End for good (signing out, leaving the page). */
  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#drop();
    this.#set({ phase: "idle", attempt: 0, trouble: null, retryAt: null });
  }

  /** The browser says that the network went away or came back. */
  networkChanged(): void {
    if (this.#around.online()) {
      if (this.state.phase === "offline" || this.state.phase === "waiting") this.connect();
    } else if (this.state.phase !== "signed_out" && this.state.phase !== "idle") {
      this.#cancelRetry?.();
      this.#drop();
      this.#set({ phase: "offline", trouble: "lost", retryAt: null });
    }
  }

  /** Send now; false when there is no connection to send on. */
  send(command: Command): boolean {
    if (!this.#established || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(command));
    return true;
  }

  #receive(socket: SocketLike, data: unknown): void {
    if (socket !== this.#socket || typeof data !== "string") return;
    this.#lastHeard = this.#around.now();
    let frame: Frame;
    try {
      frame = JSON.parse(data) as Frame;
    } catch {
      return; // Not ours to repair: the reader rule finds out if an event was lost with it.
    }
    if (frame.type === "connection_established") {
      this.#established = true;
      this.#set({ phase: "open", attempt: 0, trouble: null, retryAt: null });
      this.#beat(socket, frame.heartbeat_seconds * 1000);
      this.#handlers.onEstablished(frame);
    } else if (frame.type === "draining") {
      this.#drainMs = frame.retry_after_ms;
      this.#set({ trouble: "restarting" });
      this.#handlers.onFrame(frame);
    } else {
      this.#handlers.onFrame(frame);
    }
  }

  /** Ping often enough for the server, and give up on a socket that has been silent for two beats. */
  #beat(socket: SocketLike, every: number): void {
    const period = Math.max(1000, every);
    this.#cancelBeat?.();
    this.#cancelBeat = this.#around.after(period / 2, () => {
      if (socket !== this.#socket) return;
      if (this.#around.now() - this.#lastHeard > period * 2) {
        this.#drop();
        this.#retry("lost");
        return;
      }
      this.send({ type: "ping" });
      this.#beat(socket, every);
    });
  }

  #closed(socket: SocketLike, code: number): void {
    if (socket !== this.#socket) return;
    const opened = this.#established;
    this.#drop();
    if (code === 4401) this.#set({ phase: "signed_out", trouble: null, retryAt: null });
    else if (code === 4403) this.#set({ phase: "refused", trouble: "origin", retryAt: null });
    else if (code === 4429) this.#retry("too_many", LONGEST_PAUSE_MS);
    else if (code === 1012 || code === 1001 || this.#drainMs !== null)
      this.#retry("restarting", this.#drainMs ?? undefined);
    else if (!opened) void this.#diagnose();
    else this.#retry("lost");
  }

  async #diagnose(): Promise<void> {
    this.#set({ phase: "connecting" });
    const signedIn = await this.#around.signedIn();
    if (this.#socket || this.state.phase !== "connecting") return;
    if (signedIn === false) this.#set({ phase: "signed_out", trouble: null, retryAt: null });
    else this.#retry(this.state.trouble ?? "lost");
  }

  #retry(trouble: Trouble, least = 0): void {
    this.#drainMs = null;
    if (!this.#around.online()) {
      this.#set({ phase: "offline", trouble: "lost", retryAt: null });
      return;
    }
    const attempt = this.state.attempt + 1;
    const random = this.#around.random();
    const ms = Math.max(pause(attempt, random), least * (1 + random / 4));
    this.#set({ phase: "waiting", attempt, trouble, retryAt: this.#around.now() + ms });
    this.#cancelRetry = this.#around.after(ms, () => this.connect());
  }

  #drop(): void {
    this.#cancelBeat?.();
    this.#cancelBeat = null;
    const socket = this.#socket;
    this.#socket = null;
    this.#established = false;
    if (socket) {
      socket.onmessage = socket.onclose = socket.onopen = null;
      if (socket.readyState <= OPEN) socket.close();
    }
  }

  #set(change: Partial<ConnectionState>): void {
    this.state = { ...this.state, ...change };
    this.#handlers.onState(this.state);
  }
}
