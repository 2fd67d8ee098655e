/** Parts of the panels: a frame with its states, links, a table, chips, a question before something is ended. */
import { useId, useLayoutEffect, useRef, useState, type ComponentProps, type ReactNode } from "react";
import { Problem } from "../core/api.ts";
import { router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { Button, Dialog } from "../components/controls.tsx";
import { AlertIcon } from "../components/icons.tsx";
import type { Pages, Polled } from "./state.ts";

export function Panel({
  title,
  words,
  back,
  actions,
  children,
}: {
  readonly title: string;
  readonly words?: ReactNode;
  readonly back?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <div className="panel-head">
        {back}
        <div className="panel-title">
          <h2 id={id} tabIndex={-1}>
            {title}
          </h2>
          {words && <p>{words}</p>}
        </div>
        {actions && <div className="panel-actions">{actions}</div>}
      </div>
      {children}
    </section>
  );
}

/** What a panel shows while it has nothing, could not ask, or has something. */
export function Loaded<T>({
  polled,
  empty,
  children,
}: {
  readonly polled: Polled<T>;
  readonly empty?: (data: T) => string | null;
  readonly children: (data: T) => ReactNode;
}) {
  const { data, problem, loading, reload } = polled;
  const nothing = data === null ? null : (empty?.(data) ?? null);
  return (
    <>
      {problem && (
        <p className="panel-problem" role="alert">
          <AlertIcon />
          <span>
            {problem.message} {data !== null && "What is shown is older."}
          </span>
          <button type="button" className="link-button" onClick={reload}>
            Try again
          </button>
        </p>
      )}
      {data === null && loading && !problem && (
        <div className="panel-waiting" role="status">
          <span className="visually-hidden">Loading</span>
          <div className="skeleton" />
          <div className="skeleton" />
          <div className="skeleton" />
        </div>
      )}
      {nothing !== null ? <p className="panel-empty">{nothing}</p> : data !== null && children(data)}
    </>
  );
}

export interface Column<T> {
  readonly name: string;
  readonly cell: (row: T) => ReactNode;
  readonly align?: "right";
  /** With it, the column can be sorted by. */
  readonly by?: (row: T) => string | number;
  /** Not shown on a phone: the row's own page has it. */
  readonly wide?: boolean;
  /** Sentences: kept from becoming a column of single words. */
  readonly text?: boolean;
}

interface TableParts<T> {
  readonly label: string;
  readonly columns: ReadonlyArray<Column<T>>;
  readonly rows: ReadonlyArray<T>;
  readonly id: (row: T) => string;
  readonly sort?: string | null;
  readonly onSort?: (sort: string | null) => void;
  /** The group that a row belongs to; each has a heading, in the order of their first rows. */
  readonly group?: (row: T) => string;
  /** What its heading says of a group. */
  readonly summary?: (rows: ReadonlyArray<T>) => string;
}

/** A table whose head sorts: up, down, and as it came. Scrolls by itself, also with the keyboard. */
export function DataTable<T>({ label, columns, rows, id, sort, onSort, group, summary }: TableParts<T>) {
  const name = sort?.replace(/^-/, "");
  const down = sort?.startsWith("-") ?? false;
  const by = columns.find((each) => each.name === name)?.by;
  const sorted = by
    ? [...rows].sort((one, other) => {
        const [a, b] = [by(one), by(other)];
        return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
      })
    : rows;
  const groups = [...new Set(group ? rows.map(group) : [""])];
  return (
    <div className="table-scroll ops-table" role="group" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                className={classes(column)}
                aria-sort={column.name === name ? (down ? "descending" : "ascending") : undefined}
              >
                {column.by && onSort ? (
                  <button
                    type="button"
                    className="sort"
                    onClick={() => onSort(column.name !== name ? column.name : down ? null : `-${column.name}`)}
                  >
                    {column.name}
                    <span aria-hidden="true">{column.name === name ? (down ? "↓" : "↑") : ""}</span>
                  </button>
                ) : column.name === "" ? (
                  <span className="visually-hidden">Actions</span>
                ) : (
                  column.name
                )}
              </th>
            ))}
          </tr>
        </thead>
        {groups.map((name) => {
          const mine = group ? sorted.filter((row) => group(row) === name) : sorted;
          return (
            <tbody key={name}>
              {group && (
                <tr className="group">
                  <th scope="rowgroup" colSpan={columns.length}>
                    {name} <span className="quiet">{summary?.(mine)}</span>
                  </th>
                </tr>
              )}
              {mine.map((row) => (
                <tr key={id(row)}>
                  {columns.map((column) => (
                    <td key={column.name} className={classes(column)}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          );
        })}
      </table>
    </div>
  );
}

const classes = (column: {
  readonly align?: "right";
  readonly wide?: boolean;
  readonly text?: boolean;
}): string | undefined =>
  [column.align === "right" ? "align-right figure" : "", column.wide ? "wide-only" : "", column.text ? "text-cell" : ""]
    .join(" ")
    .trim() || undefined;

export type Fact = readonly [name: string, value: ReactNode];
/** Names and values, side by side as long as there is room. */
export const Facts = ({ of }: { readonly of: ReadonlyArray<Fact> }) => (
  <dl className="ops-facts">
    {of.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd className="figure">{value}</dd>
      </div>
    ))}
  </dl>
);

export type Tone = "plain" | "good" | "warn" | "bad" | "accent";
export const Chip = ({ tone = "plain", children }: { readonly tone?: Tone; readonly children: ReactNode }) => (
  <span className={`chip chip-${tone}`}>{children}</span>
);

const TONES: Readonly<Record<string, Tone>> = {
  running: "accent",
  starting: "accent",
  completing: "accent",
  "waits for a person": "warn",
  pending: "plain",
  queued: "plain",
  succeeded: "good",
  completed: "good",
  failed: "bad",
  timed_out: "bad",
  timeout: "bad",
  dead: "bad",
  stalled: "bad",
  died: "bad",
  cancelled: "plain",
  critical: "bad",
  warning: "warn",
  error: "bad",
  info: "plain",
};
const WORDS: Readonly<Record<string, string>> = { pending: "waiting", queued: "waiting" };
/** A state or a severity in words and colour. */
export const StateChip = ({ state }: { readonly state: string }) => (
  <Chip tone={TONES[state] ?? "plain"}>{WORDS[state] ?? state.replaceAll("_", " ")}</Chip>
);

/** An id, short, whole when pointed at. */
export const ShortId = ({ id }: { readonly id: string }) => (
  <code className="short-id" title={id}>
    {id.length > 14 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id}
  </code>
);

/** A button that asks first. `run` may fail; the dialog says so and stays. A focus that goes with the button stays in
 * its table or item. */
export function Asking({
  label,
  about,
  title,
  words,
  confirm,
  danger = true,
  onDone,
  run,
  children,
}: {
  readonly label: string;
  /** What it acts on, where several of these stand below each other. */ readonly about?: string;
  readonly title: string;
  readonly words: ReactNode;
  readonly confirm: string;
  readonly danger?: boolean;
  readonly onDone?: () => void;
  readonly run: (form: FormData) => Promise<unknown>;
  readonly children?: ReactNode;
}) {
  const app = useApp();
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const mine = button.current;
    return () => {
      const [active, home] = [document.activeElement, mine?.parentElement?.closest<HTMLElement>("[tabindex]")];
      if (active !== mine && active?.closest("dialog") == null) return;
      // Only then is it known whether the dialog gave it back to something that stays.
      queueMicrotask(() => document.activeElement === document.body && home?.focus({ preventScroll: true }));
    };
  }, []);
  const close = (): void => {
    setOpen(false);
    setProblem(null);
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="quiet-button"
        aria-label={about === undefined ? undefined : `${label} ${about}`}
        onClick={() => setOpen(true)}
      >
        {label}
      </button>
      {open && (
        <Dialog title={title} onClose={close}>
          <form
            className="form"
            onSubmit={async (event) => {
              event.preventDefault();
              const form = new FormData(event.currentTarget);
              setBusy(true);
              setProblem(null);
              try {
                await run(form);
                close();
                onDone?.();
              } catch (error) {
                if (error instanceof Problem && error.status === 401) {
                  close();
                  app.failed(error);
                } else setProblem(error instanceof Problem ? error : new Problem(0, "unexpected", String(error)));
              }
              setBusy(false);
            }}
          >
            <p className="dialog-words">{words}</p>
            {children}
            {problem && (
              <p className="form-problem" role="alert">
                <AlertIcon />
                <span>{problem.message}</span>
              </p>
            )}
            <div className="form-actions">
              <Button onClick={close}>{danger ? "Keep" : "Cancel"}</Button>
              <Button
                type="submit"
                kind={danger ? "danger" : "primary"}
                busy={busy}
                data-focus-first={children === undefined || undefined}
              >
                {confirm}
              </Button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}

/** Below what is shown in pages: the way to the next one, as long as there is one. */
export function More({ of: { next, busy, more } }: { readonly of: Pages<unknown> }) {
  return next === null ? null : (
    <div className="panel-more">
      <Button busy={busy} onClick={more}>
        Show more
      </Button>
    </div>
  );
}

/** An ordinary link that does not load the page again. */
export function Link({
  to,
  children,
  ...rest
}: { readonly to: string; readonly children: ReactNode } & Omit<ComponentProps<"a">, "href" | "onClick">) {
  return (
    <a
      href={to}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        router.go(to);
      }}
      {...rest}
    >
      {children}
    </a>
  );
}

/** A moment: of today only the time, and all of it when pointed at. */
export function Moment({ at, none = "–" }: { readonly at: string | null; readonly none?: string }) {
  if (at === null) return <span className="quiet">{none}</span>;
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return (
    <time className="moment" dateTime={at} title={date.toLocaleString()}>
      {today ? date.toLocaleTimeString() : date.toLocaleString()}
    </time>
  );
}

/** What a list is narrowed to, kept in the address. */
export function Choice({
  label,
  all,
  value,
  options,
  onChange,
}: {
  readonly label: string;
  /** What is said when it is narrowed to nothing. */
  readonly all: string;
  readonly value: string;
  readonly options: ReadonlyArray<readonly [value: string, words: string]>;
  readonly onChange: (value: string) => void;
}) {
  return (
    <select className="input" aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{all}</option>
      {options.map(([each, words]) => (
        <option key={each} value={each}>
          {words}
        </option>
      ))}
    </select>
  );
}
