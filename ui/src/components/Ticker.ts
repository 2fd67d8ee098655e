/** One clock for every live duration on the page: it ticks only while somebody looks at it. */
import { useSyncExternalStore } from "react";

const TICK_MS = 100;
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

const idle = (): (() => void) => () => undefined;

/** The time, renewed ten times a second while `active`. */
export function useNow(active: boolean): number {
  const ticking = useSyncExternalStore(active ? subscribe : idle, () => now);
  return active ? Math.max(ticking, timer === undefined ? Date.now() : ticking) : ticking;
}
