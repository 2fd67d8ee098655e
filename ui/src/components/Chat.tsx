/** The main screen: threads, conversation, composer, details; their keyboard; and what is said to screen readers. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type DragEvent } from "react";
import { api, type ThreadSummary } from "../core/api.ts";
import { chatPath, router } from "../core/route.ts";
import { activeTurn, type Turn } from "../core/thread.ts";
import { useApp, useClient, useSettings, useThreads } from "./app.ts";
import { Composer, type ComposerHandle } from "./Composer.tsx";
import { ConnectionChip } from "./ConnectionChip.tsx";
import { Conversation } from "./Conversation.tsx";
import { Button, copyText, Dialog, IconButton, Menu } from "./controls.tsx";
import { EmptyState } from "./EmptyState.tsx";
import { AttachIcon, EditIcon, MenuIcon, MoreIcon, TrashIcon } from "./icons.tsx";
import { RunDetails } from "./RunDetails.tsx";
import { RenameDialog, Sidebar, useRemove } from "./Sidebar.tsx";

/** From this width on, list and details stand beside the conversation; below, they open over it. */
const wide = matchMedia("(min-width: 1200px)");

const READ_AFTER_MS = 300;

function useWide(): boolean {
  const [value, setValue] = useState(wide.matches);
  useEffect(() => {
    const changed = (): void => setValue(wide.matches);
    wide.addEventListener("change", changed);
    return () => wide.removeEventListener("change", changed);
  }, []);
  return value;
}

export function Chat({
  threadId,
  onHelp,
  modal,
}: {
  readonly threadId: string | null;
  readonly onHelp: () => void;
  readonly modal: boolean;
}) {
  const app = useApp();
  const { client, agents, threads } = app;
  const state = useClient(client);
  const list = useThreads(threads);
  const { singleKeys } = useSettings();
  const isWide = useWide();
  const [drawer, setDrawer] = useState(false);
  const [detailsOf, setDetailsOf] = useState<string | null>(null);
  const [dragging, setDragging] = useState(false);
  const [renaming, setRenaming] = useState(false);
  const [chosenAgent, setChosenAgent] = useState<string | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const [fetched, setFetched] = useState<ThreadSummary | null>(null);
  const summary = list.items.find((each) => each.id === threadId) ?? (fetched?.id === threadId ? fetched : null);
  const remove = useRemove(threadId);

  useLayoutEffect(() => client.open(threadId), [client, threadId]);
  const loaded = list.phase !== "loading" && state.loaded && !state.missing && state.thread?.threadId === threadId;
  // A thread further down the list than what has been loaded still has a title.
  useEffect(() => {
    if (threadId === null || !loaded || list.items.some((each) => each.id === threadId)) return;
    let gone = false;
    api.thread(threadId).then(
      (each) => !gone && setFetched(each),
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [threadId, loaded, list.items]);

  const title = threadId === null ? "New thread" : summary?.title || "Thread";
  useEffect(() => {
    document.title = threadId === null ? "Netra" : `${title} · Netra`;
  }, [title, threadId]);

  const opened = useRef(threadId);
  useEffect(() => {
    setDetailsOf(null);
    setDrawer(false);
    const created = opened.current === null && client.state.outbox.some((each) => each.threadId === threadId);
    if (threadId === null || created) composer.current?.focus();
    else if (opened.current !== threadId) heading.current?.focus({ preventScroll: true });
    opened.current = threadId;
  }, [client, threadId]);

  // Reading is noted with a pause, so that a stream does not write to storage at every piece of text.
  const lastSeq = state.thread?.threadId === threadId ? (state.thread?.lastSeq ?? 0) : 0;
  useEffect(() => {
    const read = (): void => {
      if (threadId !== null && lastSeq > 0 && !document.hidden) threads.markRead(threadId, lastSeq);
    };
    const timer = setTimeout(read, READ_AFTER_MS);
    document.addEventListener("visibilitychange", read);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", read);
    };
  }, [threads, threadId, lastSeq]);

  // Of the thread in the address, not of the one the client is about to leave: the composer is there to take the focus.
  const missing = state.missing && state.thread?.threadId === threadId;
  const turns = state.thread?.turns ?? [];
  const lastAgent = turns.findLast((turn) => turn.run !== null)?.run?.agent ?? summary?.agent ?? null;
  const agentName = chosenAgent ?? lastAgent ?? agents?.default ?? null;
  const agent =
    agents?.items.find((each) => each.name === agentName) ??
    agents?.items.find((each) => each.name === agents.default) ??
    agents?.items[0] ??
    null;

  const onAgain = useCallback(
    (turn: Turn) => {
      if (turn.question)
        client.send(turn.question.content, { attachments: turn.question.attachments, agent: turn.run?.agent ?? null });
    },
    [client],
  );

  const keys = useRef<(event: KeyboardEvent) => void>(() => undefined);
  keys.current = (event) => {
    if (modal || renaming || document.querySelector("dialog[open]")) return;
    const target = event.target as HTMLElement;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable;
    const command = event.metaKey || event.ctrlKey;
    const order = list.items.filter((each) => !list.hidden.has(each.id));
    const at = order.findIndex((each) => each.id === threadId);
    let done = true;
    if (command && !event.shiftKey && event.key.toLowerCase() === "k") {
      setDrawer(true);
      requestAnimationFrame(() => document.getElementById("thread-search")?.focus());
    } else if (command && event.shiftKey && event.key.toLowerCase() === "o") {
      router.go(chatPath(null));
      composer.current?.focus();
    } else if (command && event.shiftKey && event.key.toLowerCase() === "c") {
      const text = turns.findLast((turn) => turn.run !== null && turn.run.text !== "")?.run?.text;
      if (text)
        void copyText(text).then((copied) =>
          app.toast({ text: copied ? "Answer copied" : "The browser did not allow copying" }),
        );
    } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const next = order[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) router.go(chatPath(next.id));
    } else if (
      event.key === "Escape" &&
      !event.defaultPrevented &&
      (target.id !== "composer" || composer.current?.isEmpty())
    ) {
      if (state.thread && activeTurn(state.thread)) composer.current?.stop();
      else done = false;
    } else if (singleKeys && !typing && !command && !event.altKey && event.key === "/") composer.current?.focus();
    else if (singleKeys && !typing && !command && !event.altKey && event.key === "?") onHelp();
    else if (singleKeys && !typing && !command && !event.altKey && event.key.toLowerCase() === "e")
      [...document.querySelectorAll<HTMLElement>("main [data-run-toggle]")].at(-1)?.click();
    else done = false;
    if (done) event.preventDefault();
  };
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => keys.current(event);
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  }, []);

  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer.types.includes("Files");
  const pending = state.outbox.some((each) => each.threadId === threadId);
  const blank = threadId === null && !pending;
  const details = detailsOf === null ? null : (turns.find((turn) => turn.run?.id === detailsOf)?.run ?? null);
  const closeDrawer = useCallback(() => setDrawer(false), []);
  const sidebar = <Sidebar current={threadId} onNavigate={closeDrawer} onHelp={onHelp} />;
  const closeDetails = (): void => setDetailsOf(null);
  return (
    <div className="shell" data-details={details !== null && isWide}>
      {!missing && (
        <a
          className="skip"
          href="#composer"
          onClick={(event) => {
            event.preventDefault();
            composer.current?.focus();
          }}
        >
          Skip to message box
        </a>
      )}
      {isWide && sidebar}
      <div
        className="stage"
        onDragOver={(event) => {
          if (!carriesFiles(event)) return;
          event.preventDefault();
          setDragging(true);
        }}
        onDragLeave={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDragging(false);
        }}
        onDrop={(event) => {
          if (!carriesFiles(event)) return;
          event.preventDefault();
          setDragging(false);
          composer.current?.addFiles([...event.dataTransfer.files]);
        }}
      >
        <header className="bar">
          {!isWide && (
            <IconButton label="Threads" onClick={() => setDrawer(true)}>
              <MenuIcon />
            </IconButton>
          )}
          <h1 ref={heading} tabIndex={-1} className="bar-title">
            {title}
          </h1>
          <ConnectionChip state={state} />
          {summary && (
            <Menu
              label="Thread actions"
              items={[
                { label: "Rename", icon: <EditIcon />, run: () => setRenaming(true) },
                { label: "Delete", icon: <TrashIcon />, danger: true, run: () => remove(summary) },
              ]}
            >
              <MoreIcon />
            </Menu>
          )}
        </header>
        <main className="main" data-blank={blank}>
          {missing ? (
            <div className="empty">
              <h2 className="empty-title">This thread does not exist</h2>
              <p className="empty-words">It may have been deleted, or the address is wrong.</p>
              <Button kind="primary" onClick={() => router.go(chatPath(null))}>
                New thread
              </Button>
            </div>
          ) : blank ? (
            <div className="blank">
              <EmptyState
                agent={agent}
                onExample={(text) => composer.current?.write(text)}
                onFiles={(files) => composer.current?.addFiles(files)}
              />
            </div>
          ) : (
            <Conversation state={state} onDetails={setDetailsOf} onAgain={onAgain} />
          )}
          {!missing && (
            <Composer
              key={threadId ?? "new"}
              ref={composer}
              state={state}
              threadId={threadId}
              agent={agent}
              onAgent={setChosenAgent}
            />
          )}
        </main>
        {dragging && (
          <div className="drop" aria-hidden="true">
            <div className="drop-words">
              <AttachIcon size={20} />
              Drop files to attach them
            </div>
          </div>
        )}
      </div>
      {details !== null && isWide && (
        <aside className="aside" aria-label="Run details">
          <RunDetails run={details} offset={state.clockOffset} onClose={closeDetails} />
        </aside>
      )}
      {details !== null && !isWide && (
        <Dialog title="Run details" className="sheet" onClose={closeDetails}>
          <RunDetails run={details} offset={state.clockOffset} />
        </Dialog>
      )}
      {drawer && !isWide && (
        <Dialog title="Threads" className="drawer" onClose={() => setDrawer(false)}>
          {sidebar}
        </Dialog>
      )}
      {renaming && summary && <RenameDialog thread={summary} onClose={() => setRenaming(false)} />}
    </div>
  );
}
