/** The list of threads: new, search, open, rename, delete with undo; and the user's own menu below. */
import { memo, useEffect, useRef, useState } from "react";
import { api, type ThreadSummary } from "../core/api.ts";
import { ago } from "../core/format.ts";
import { chatPath, router } from "../core/route.ts";
import { grouped } from "../core/threads.ts";
import { useApp, useThreads } from "./app.ts";
import { Button, Dialog, Menu } from "./controls.tsx";
import {
  ChartIcon,
  EditIcon,
  HelpIcon,
  Mark,
  MoreIcon,
  PlusIcon,
  SearchIcon,
  SettingsIcon,
  SignOutIcon,
  TrashIcon,
} from "./icons.tsx";

const UNDO_MS = 6000;
const SEARCH_PAUSE_MS = 200;

export const Sidebar = memo(function Sidebar({
  current,
  onNavigate,
  onHelp,
}: {
  readonly current: string | null;
  readonly onNavigate: () => void;
  readonly onHelp: () => void;
}) {
  const app = useApp();
  const state = useThreads(app.threads);
  const [query, setQuery] = useState(state.query);
  const [renaming, setRenaming] = useState<ThreadSummary | null>(null);
  const remove = useRemove(current);
  const searched = useRef(state.query);
  useEffect(() => {
    if (query === searched.current) return;
    const timer = setTimeout(() => {
      searched.current = query;
      void app.threads.load(query);
    }, SEARCH_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [query, app.threads]);
  const now = Date.now();
  const visible = state.items.filter((each) => !state.hidden.has(each.id));
  const open = (id: string | null): void => {
    router.go(chatPath(id));
    onNavigate();
  };
  return (
    <nav className="sidebar" aria-label="Threads">
      <div className="sidebar-head">
        <Mark />
        <span className="brand">Netra</span>
      </div>
      <button type="button" className="new-thread" onClick={() => open(null)}>
        <PlusIcon />
        New thread
      </button>
      <div className="search">
        <SearchIcon />
        <input
          id="thread-search"
          type="search"
          aria-label="Search threads"
          placeholder="Search"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <kbd>{shortcutKey}K</kbd>
      </div>
      <div className="thread-list">
        {state.phase === "failed" && (
          <div className="list-note" role="alert">
            {state.problem}
            <button type="button" className="link-button" onClick={() => void app.threads.load()}>
              Try again
            </button>
          </div>
        )}
        {state.phase === "loading" && state.items.length === 0 && (
          <div className="list-skeleton" role="status">
            <span className="visually-hidden">Loading threads</span>
            <div className="skeleton" />
            <div className="skeleton" />
            <div className="skeleton" />
          </div>
        )}
        {state.phase === "ready" && visible.length === 0 && (
          <p className="list-note">
            {state.query === "" ? "Your threads will be listed here." : `Nothing found for “${state.query}”.`}
          </p>
        )}
        {grouped(visible, now).map(([group, items]) => (
          <section key={group} aria-label={group}>
            <h2 className="group">{group}</h2>
            <ul>
              {items.map((item) => (
                <ThreadRow
                  key={item.id}
                  item={item}
                  current={item.id === current}
                  unread={item.last_seq > (state.read.get(item.id) ?? 0) && item.id !== current}
                  when={ago(Date.parse(item.updated_at), now)}
                  onOpen={open}
                  onRename={setRenaming}
                  onDelete={remove}
                />
              ))}
            </ul>
          </section>
        ))}
        {state.cursor !== null && (
          <button
            type="button"
            className="quiet-button more-threads"
            onClick={() => void app.threads.more().catch(app.failed)}
          >
            Show more
          </button>
        )}
      </div>
      <div className="sidebar-foot">
        <Menu
          label="Account"
          className="account"
          side="above"
          align="start"
          items={[
            ...(app.user.roles.includes("admin")
              ? [{ label: "Operations", icon: <ChartIcon />, run: () => router.go("/ops") }]
              : []),
            {
              label: "Settings",
              icon: <SettingsIcon />,
              run: () => {
                router.go("/settings");
                onNavigate();
              },
            },
            { label: "Help and shortcuts", icon: <HelpIcon />, run: onHelp },
            { label: "Sign out", icon: <SignOutIcon />, run: () => void app.signOut() },
          ]}
        >
          <span className="avatar" aria-hidden="true">
            {(app.user.name || app.user.email).charAt(0).toUpperCase()}
          </span>
          <span className="account-words">
            <span className="account-name">{app.user.name || app.user.email}</span>
            {app.user.name && <span className="account-email">{app.user.email}</span>}
          </span>
          <MoreIcon />
        </Menu>
      </div>
      {renaming && <RenameDialog thread={renaming} onClose={() => setRenaming(null)} />}
    </nav>
  );
});

const shortcutKey = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl ";

const ThreadRow = memo(function ThreadRow({
  item,
  current,
  unread,
  when,
  onOpen,
  onRename,
  onDelete,
}: {
  readonly item: ThreadSummary;
  readonly current: boolean;
  readonly unread: boolean;
  readonly when: string;
  readonly onOpen: (id: string) => void;
  readonly onRename: (item: ThreadSummary) => void;
  readonly onDelete: (item: ThreadSummary) => void;
}) {
  return (
    <li className="thread-row" data-current={current} data-unread={unread}>
      <a
        href={chatPath(item.id)}
        aria-current={current ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
          event.preventDefault();
          onOpen(item.id);
        }}
      >
        <span className="thread-title">{item.title || "New thread"}</span>
        {item.running ? (
          <span className="pulse" title="Running">
            <span className="visually-hidden">, running</span>
          </span>
        ) : unread ? (
          <span className="unread-dot" title="Unread">
            <span className="visually-hidden">, unread</span>
          </span>
        ) : (
          <span className="thread-time">{when}</span>
        )}
      </a>
      <Menu
        label={`Actions for ${item.title || "New thread"}`}
        items={[
          { label: "Rename", icon: <EditIcon />, run: () => onRename(item) },
          { label: "Delete", icon: <TrashIcon />, danger: true, run: () => onDelete(item) },
        ]}
      >
        <MoreIcon />
      </Menu>
    </li>
  );
});

/** Deleting waits for the undo to pass; leaving the page does not lose the decision. */
export function useRemove(current: string | null): (thread: ThreadSummary) => void {
  const app = useApp();
  return (thread) => {
    const finish = (): void => {
      removeEventListener("pagehide", finish);
      api.deleteThread(thread.id).then(
        () => app.threads.remove(thread.id),
        (error: unknown) => {
          app.threads.hide(thread.id, false);
          app.failed(error);
        },
      );
    };
    app.threads.hide(thread.id, true);
    if (thread.id === current) router.go(chatPath(null));
    addEventListener("pagehide", finish);
    app.toast({
      text: "Thread deleted",
      ms: UNDO_MS,
      action: {
        label: "Undo",
        run: () => {
          removeEventListener("pagehide", finish);
          app.threads.hide(thread.id, false);
        },
      },
      onGone: finish,
    });
  };
}

export function RenameDialog({ thread, onClose }: { readonly thread: ThreadSummary; readonly onClose: () => void }) {
  const app = useApp();
  const [title, setTitle] = useState(thread.title);
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title="Rename thread" onClose={onClose}>
      <form
        className="form"
        onSubmit={async (event) => {
          event.preventDefault();
          setBusy(true);
          try {
            await api.renameThread(thread.id, title.trim());
            app.threads.rename(thread.id, title.trim());
            onClose();
          } catch (error) {
            setBusy(false);
            app.failed(error);
          }
        }}
      >
        <input
          className="input"
          aria-label="Title"
          value={title}
          maxLength={200}
          onChange={(event) => setTitle(event.target.value)}
          data-focus-first=""
          onFocus={(event) => event.target.select()}
        />
        <div className="form-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={busy} disabled={title.trim() === ""}>
            Rename
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
