/** A client in a world the test controls: sockets that record, a clock that moves when told. */
import { Client, type ClientSurroundings, type Pending } from "../src/core/client.ts";
import type { SocketLike } from "../src/core/connection.ts";
import type { Command, ServerFrame, ThreadEvent } from "../src/core/protocol.gen.ts";

export class FakeSocket implements SocketLike {
  readyState = 0;
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  readonly sent: Command[] = [];

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Command);
  }

  close(): void {
    this.readyState = 3;
  }

  receive(...frames: ReadonlyArray<ServerFrame | ThreadEvent>): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  establish(): void {
    this.readyState = 1;
    this.receive({
      type: "connection_established",
      connection_id: "con_1",
      user: { id: "usr_ada", email: "ada@example.com", name: "Ada", roles: ["user"] },
      protocol: "netra.v1",
      heartbeat_seconds: 20,
      server_time: new Date(0).toISOString(),
      limits: {
        message_bytes: 65_536,
        content_chars: 32_000,
        file_bytes: 1e8,
        attachments: 10,
        runs_running: 2,
        runs_queued: 50,
      },
    });
  }

  /** The server, or the network, ends it. */
  end(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  ofType<T extends Command["type"]>(type: T): ReadonlyArray<Extract<Command, { type: T }>> {
    return this.sent.filter((each): each is Extract<Command, { type: T }> => each.type === type);
  }
}

export class World {
  time = 0;
  online = true;
  signedIn: boolean | null = true;
  readonly sockets: FakeSocket[] = [];
  readonly created: string[] = [];
  outbox: ReadonlyArray<Pending> = [];
  #timers: Array<{ readonly at: number; readonly run: () => void }> = [];
  #ids = 0;

  client(): Client {
    const around: ClientSurroundings = {
      open: () => {
        const socket = new FakeSocket();
        this.sockets.push(socket);
        return socket;
      },
      now: () => this.time,
      random: () => 0.999,
      after: (ms, run) => {
        const timer = { at: this.time + ms, run };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((each) => each !== timer);
        };
      },
      online: () => this.online,
      signedIn: () => Promise.resolve(this.signedIn),
      newId: () => `id-${++this.#ids}`,
      scheduleFlush: (flush) => this.#timers.push({ at: this.time + 16, run: flush }),
      onThreadChanged: () => undefined,
      onThreadCreated: (id) => this.created.push(id),
      onLiveEvent: () => undefined,
      loadOutbox: () => this.outbox,
      saveOutbox: (outbox) => {
        this.outbox = outbox;
      },
    };
    return new Client(around);
  }

  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("no socket was opened");
    return last;
  }

  /** Let time pass, running what falls due in order. */
  pass(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const next = this.#timers.filter((each) => each.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.time = Math.max(this.time, next.at);
      next.run();
    }
    this.time = until;
  }
}

/** Let promises that are already settled be followed. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
