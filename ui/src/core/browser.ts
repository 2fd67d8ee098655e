/** The browser's side of `Client`: the real socket, timers and storage. */
import { api } from "./api.ts";
import { Client, type Pending } from "./client.ts";
import type { SocketLike } from "./connection.ts";
import type { ThreadChanged, ThreadEvent } from "./protocol.gen.ts";

const OUTBOX_KEY = "netra.outbox";
/** Text is put on the page at most this often; a hidden tab needs less. */
const FLUSH_MS = 50;
const HIDDEN_FLUSH_MS = 250;

export interface ClientEvents {
  onThreadChanged(frame: ThreadChanged): void;
  onThreadCreated(threadId: string, pending: Pending): void;
  onLiveEvent(event: ThreadEvent): void;
}

export function browserClient(events: ClientEvents): Client {
  let lastFlush = 0;
  return new Client({
    ...events,
    open: (protocol) =>
      new WebSocket(
        `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
        protocol,
      ) as unknown as SocketLike,
    now: () => Date.now(),
    random: () => Math.random(),
    after(ms, action) {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
    online: () => navigator.onLine,
    signedIn: async () => {
      try {
        return (await api.me()).user !== null;
      } catch {
        return null;
      }
    },
    newId: () => `web-${randomId()}`,
    scheduleFlush(flush) {
      const run = (): void => {
        lastFlush = performance.now();
        flush();
      };
      if (document.hidden) setTimeout(run, HIDDEN_FLUSH_MS);
      else
        setTimeout(
          () => (document.hidden ? run() : requestAnimationFrame(run)),
          Math.max(0, lastFlush + FLUSH_MS - performance.now()),
        );
    },
    loadOutbox() {
      try {
        return JSON.parse(sessionStorage.getItem(OUTBOX_KEY) ?? "[]") as Pending[];
      } catch {
        return [];
      }
    },
    saveOutbox(outbox) {
      try {
        if (outbox.length === 0) sessionStorage.removeItem(OUTBOX_KEY);
        else sessionStorage.setItem(OUTBOX_KEY, JSON.stringify(outbox));
      } catch {
        // Without storage the outbox lives as long as the page.
      }
    },
  });
}

/** `crypto.randomUUID` exists only on secure origins; a plain http address in a local network is none. */
function randomId(): string {
  const words = crypto.getRandomValues(new Uint32Array(4));
  return [...words].map((word) => word.toString(16).padStart(8, "0")).join("");
}
