/**
 * What the user said of the answers of the open thread. The server keeps it; this is the page's view of it, loaded with the
 * thread and again when the tab comes back, because another device may have changed it.
 */
import { api, type Rating } from "./api.ts";

export type Thumb = 1 | -1;

export interface Said {
  readonly rating: Thumb;
  readonly text: string;
}

export class Feedback {
  #thread: string | null = null;
  #said: ReadonlyMap<string, Said> = new Map();
  /** Counts what the user did, so that an answer to an older question does not undo it. */
  #changes = 0;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly get = (): ReadonlyMap<string, Said> => this.#said;

  /** Load what was said in a thread. A failure leaves what is known: the thumbs can be used all the same. */
  async load(thread: string): Promise<void> {
    if (thread !== this.#thread) {
      this.#thread = thread;
      this.#set(new Map());
    }
    const changes = this.#changes;
    const items = await api.feedback(thread).catch(() => null);
    if (items === null || this.#thread !== thread || this.#changes !== changes) return;
    this.#set(new Map(items.items.map((each) => [each.run_id, { rating: each.rating, text: each.text }])));
  }

  /** Say it; undone when the server refuses. */
  async give(run: string, rating: Thumb, text: string): Promise<void> {
    await this.#change(run, { rating, text }, () => api.giveFeedback(run, rating, text));
  }

  /** Take it back. */
  async takeBack(run: string): Promise<void> {
    await this.#change(run, null, () => api.takeBackFeedback(run));
  }

  async #change(run: string, to: Said | null, send: () => Promise<Rating | void>): Promise<void> {
    const before = this.#said.get(run) ?? null;
    const change = ++this.#changes;
    this.#put(run, to);
    try {
      await send();
    } catch (error) {
      if (this.#changes === change) this.#put(run, before);
      throw error;
    }
  }

  #put(run: string, said: Said | null): void {
    const next = new Map(this.#said);
    if (said === null) next.delete(run);
    else next.set(run, said);
    this.#set(next);
  }

  #set(said: ReadonlyMap<string, Said>): void {
    this.#said = said;
    for (const listener of this.#listeners) listener();
  }
}

export const feedback = new Feedback();
