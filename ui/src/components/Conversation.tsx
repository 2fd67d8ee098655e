/** The messages of the open thread, kept at the bottom while the reader is there, older ones on the way up. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from "react";
import type { ClientState } from "../core/client.ts";
import { feedback } from "../core/feedback.ts";
import type { Turn } from "../core/thread.ts";
import { useApp } from "./app.ts";
import { DownIcon } from "./icons.tsx";
import { PendingRow, TurnRow, type TurnActions } from "./TurnRow.tsx";

/** Turns drawn at first, and how many more each step upwards adds. */
const PAGE = 30;
const NEAR_BOTTOM = 40;

interface Stick {
  readonly away: boolean;
  toBottom(): void;
}

/** Stay at the bottom while there; let go as soon as the reader moves up (a scrollTop that shrinks), by whatever means. */
function useStick(
  view: RefObject<HTMLDivElement | null>,
  content: RefObject<HTMLDivElement | null>,
  thread: string | null,
  ready: boolean,
): Stick {
  const [away, setAway] = useState(false);
  const held = useRef(true);
  const top = useRef(0);
  const loaded = useRef(false);
  const toBottom = useCallback(() => {
    held.current = true;
    setAway(false);
    if (view.current) view.current.scrollTop = view.current.scrollHeight;
  }, [view]);
  useLayoutEffect(() => {
    loaded.current = false;
    toBottom();
  }, [toBottom, thread]);
  useEffect(() => {
    const element = view.current;
    const inside = content.current;
    if (!element || !inside) return;
    let height = element.scrollHeight;
    const onScroll = (): void => {
      const shrunk = element.scrollHeight < height;
      height = element.scrollHeight;
      const bottom = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_BOTTOM;
      // A card that folds up pulls the view along; that is not the reader's doing.
      if (element.scrollTop < top.current - 2 && !bottom && !shrunk) held.current = false;
      if (bottom) held.current = true;
      top.current = element.scrollTop;
      setAway(!held.current);
    };
    const onWheel = (event: WheelEvent): void => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) held.current = false;
    };
    const observer = new ResizeObserver(() => {
      const grown = element.scrollHeight - height;
      height = element.scrollHeight;
      if (!held.current) return;
      const latest = inside.querySelector<HTMLElement>("[data-last=true] .answer");
      if (loaded.current && latest && grown > element.clientHeight) {
        // An answer that comes at once and fills more than the view is read from its beginning.
        held.current = false;
        setAway(true);
        element.scrollTop += latest.getBoundingClientRect().top - element.getBoundingClientRect().top - 16;
      } else element.scrollTop = element.scrollHeight;
      // What was there when the thread was opened is no news.
      loaded.current = ready;
    });
    observer.observe(inside);
    observer.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onWheel);
    };
  }, [view, content, ready]);
  return { away, toBottom };
}

export function Conversation({
  state,
  onDetails,
  onAgain,
}: {
  readonly state: ClientState;
  readonly onDetails: (runId: string) => void;
  readonly onAgain: (turn: Turn) => void;
}) {
  const { client } = useApp();
  const view = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const threadId = state.thread?.threadId ?? null;
  const turns = state.thread?.turns ?? [];
  const pending = state.outbox.filter((each) => each.threadId === threadId);
  const [shown, setShown] = useState(PAGE);
  const [seen, setSeen] = useState(turns.length);
  const { away, toBottom } = useStick(view, content, threadId, state.loaded);
  const before = useRef<number | null>(null);
  const late = useLate(!state.loaded, 150);
  const count = turns.length + pending.length;

  useEffect(() => setShown(PAGE), [threadId]);
  const answered = state.loaded && turns.some((turn) => turn.run !== null);
  useEffect(() => {
    if (threadId === null || !answered) return;
    const load = (): void => {
      if (!document.hidden) void feedback.load(threadId);
    };
    load();
    document.addEventListener("visibilitychange", load);
    return () => document.removeEventListener("visibilitychange", load);
  }, [threadId, answered]);
  useEffect(() => {
    if (!away) setSeen(count);
  }, [away, count]);
  // What the user sends is always shown, wherever the reader was.
  const lastPending = pending.at(-1)?.id;
  useLayoutEffect(() => {
    if (lastPending !== undefined) toBottom();
  }, [lastPending, toBottom]);
  useLayoutEffect(() => {
    const element = view.current;
    if (element && before.current !== null) element.scrollTop += element.scrollHeight - before.current;
    before.current = null;
  }, [shown]);

  const actions: TurnActions = useMemo(
    () => ({ ask: (text) => void client.send(text), again: onAgain, details: onDetails }),
    [client, onAgain, onDetails],
  );
  const older = Math.max(0, turns.length - shown);
  const showOlder = (): void => {
    before.current = view.current?.scrollHeight ?? null;
    setShown((value) => value + PAGE);
  };
  let waiting = 0;
  return (
    <div className="conversation">
      <div
        className="conversation-view"
        ref={view}
        tabIndex={0}
        role="region"
        aria-label="Conversation"
        onScroll={(event) => {
          if (state.loaded && older > 0 && event.currentTarget.scrollTop < 120) showOlder();
        }}
      >
        <div className="column" ref={content}>
          {state.loaded && older > 0 && (
            <button type="button" className="quiet-button older" onClick={showOlder}>
              Show {Math.min(PAGE, older)} older messages
            </button>
          )}
          {late && <Skeleton />}
          {state.loaded &&
            turns.slice(older).map((turn, index, all) => {
              if (turn.run === null) waiting++;
              return (
                <TurnRow
                  key={turn.key}
                  turn={turn}
                  position={waiting}
                  last={index === all.length - 1 && pending.length === 0}
                  offset={state.clockOffset}
                  actions={actions}
                />
              );
            })}
          {pending.map((each) => (
            <PendingRow
              key={each.id}
              pending={each}
              onRetry={() => client.retry(each.id)}
              onDiscard={() => client.discard(each.id)}
            />
          ))}
        </div>
      </div>
      {away && (
        <button type="button" className="jump" onClick={toBottom}>
          <DownIcon size={14} />
          {count > seen ? `${count - seen} new, jump to latest` : "Jump to latest"}
        </button>
      )}
    </div>
  );
}

/** True once `active` has lasted `ms`: what is quick needs no placeholder. */
function useLate(active: boolean, ms: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!active) return setLate(false);
    const timer = setTimeout(() => setLate(true), ms);
    return () => clearTimeout(timer);
  }, [active, ms]);
  return active && late;
}

function Skeleton() {
  return (
    <div className="skeletons" role="status">
      <span className="visually-hidden">Loading the conversation</span>
      <div className="skeleton skeleton-question" />
      <div className="skeleton skeleton-card" />
      <div className="skeleton skeleton-text" />
    </div>
  );
}
