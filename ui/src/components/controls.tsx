/** Small parts shared by the screens: buttons, fields, a dialog, a menu, copying. Native elements wherever they do the job. */
import {
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
} from "react";
import { CheckIcon, CloseIcon, CopyIcon } from "./icons.tsx";

type ButtonKind = "primary" | "secondary" | "ghost" | "danger";

export function Button({
  kind = "secondary",
  busy = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { readonly kind?: ButtonKind; readonly busy?: boolean }) {
  return (
    <button
      type="button"
      {...rest}
      className={`button ${kind}${className ? ` ${className}` : ""}`}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
    >
      {busy && <Spinner />}
      {children}
    </button>
  );
}

export function IconButton({
  label,
  className,
  children,
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { readonly label: string }) {
  return (
    <button
      type="button"
      {...rest}
      className={`icon-button${className ? ` ${className}` : ""}`}
      aria-label={label}
      title={label}
    >
      {children}
    </button>
  );
}

export const Spinner = () => <span className="spinner" aria-hidden="true" />;

export function Field({
  label,
  hint,
  problem,
  ...input
}: InputHTMLAttributes<HTMLInputElement> & {
  readonly label: string;
  readonly hint?: string;
  readonly problem?: string | null;
  readonly "data-focus-first"?: boolean;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        aria-invalid={problem ? true : undefined}
        aria-describedby={problem || hint ? `${id}-note` : undefined}
      />
      {(problem || hint) && (
        <p id={`${id}-note`} className={problem ? "field-problem" : "field-hint"}>
          {problem ?? hint}
        </p>
      )}
    </div>
  );
}

/** A modal dialog. The browser keeps the focus inside; `data-focus-first` says where it begins; the opener gets it back. */
export function Dialog({
  title,
  onClose,
  children,
  className,
  closable = true,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly className?: string;
  readonly closable?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    dialog?.querySelector<HTMLElement>("[data-focus-first]")?.focus();
    return () => {
      dialog?.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={`dialog${className ? ` ${className}` : ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (closable) onClose();
      }}
      onMouseDown={(event) => {
        if (closable && event.target === event.currentTarget) onClose();
      }}
    >
      <div className="dialog-body">
        <div className="dialog-head">
          <h2 id={id}>{title}</h2>
          {closable && (
            <IconButton label="Close" onClick={onClose}>
              <CloseIcon />
            </IconButton>
          )}
        </div>
        {children}
      </div>
    </dialog>
  );
}

export interface MenuItem {
  readonly label: string;
  readonly icon: ReactNode;
  readonly danger?: boolean;
  readonly run: () => void;
}

/** A button that opens a list of actions: arrow keys, Home, End, Escape, and closing when the focus leaves. */
export function Menu({
  label,
  items,
  children,
  className,
  align = "end",
  side = "below",
}: {
  readonly label: string;
  readonly items: ReadonlyArray<MenuItem>;
  readonly children: ReactNode;
  readonly className?: string;
  readonly align?: "start" | "end";
  readonly side?: "below" | "above";
}) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const close = (focus: boolean): void => {
    setOpen(false);
    if (focus) opener.current?.focus();
  };
  useEffect(() => {
    if (open) root.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }, [open]);
  return (
    <div
      className="menu"
      ref={root}
      onBlur={(event) => {
        if (!root.current?.contains(event.relatedTarget)) setOpen(false);
      }}
      onKeyDown={(event) => {
        if (!open) return;
        const all = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
        const at = all.indexOf(document.activeElement as HTMLElement);
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
        if (event.key === "Escape") {
          event.stopPropagation();
          close(true);
        } else if (to !== undefined) {
          event.preventDefault();
          all.at(to % all.length)?.focus();
        }
      }}
    >
      <button
        ref={opener}
        type="button"
        className={className ?? "icon-button"}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <div className="menu-list" role="menu" aria-label={label} data-align={align} data-side={side}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={item.danger ? "danger" : undefined}
              onClick={() => {
                close(true);
                item.run();
              }}
            >
              {item.icon}
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** Copies, and says so for a moment. */
export function CopyButton({
  text,
  label = "Copy",
  className,
}: {
  readonly text: () => string;
  readonly label?: string;
  readonly className?: string;
}) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" className={className ?? "quiet-button"} onClick={async () => setDone(await copyText(text()))}>
      {done ? <CheckIcon size={14} /> : <CopyIcon size={14} />}
      {done ? "Copied" : label}
    </button>
  );
}

/** Copy to the clipboard; false when the browser refuses (an address without TLS). */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
