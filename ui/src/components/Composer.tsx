/** Where messages are written: grows with the text, takes files by button, drop and paste, keeps a draft for each thread. */
import {
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
  type Ref,
} from "react";
import { Problem, upload, type AgentInfo } from "../core/api.ts";
import type { ClientState } from "../core/client.ts";
import { loadDraft, saveDraft } from "../core/drafts.ts";
import { bytes } from "../core/format.ts";
import type { Attachment } from "../core/protocol.gen.ts";
import { activeTurn } from "../core/thread.ts";
import { useApp } from "./app.ts";
import { AlertIcon, AttachIcon, CloseIcon, FileIcon, SendIcon, StopIcon } from "./icons.tsx";
import { Spinner } from "./controls.tsx";
import { useNow } from "./Ticker.ts";

export interface ComposerHandle {
  focus(): void;
  isEmpty(): boolean;
  /** Put words into an empty composer (or replace what an example put there). */
  write(text: string): void;
  addFiles(files: ReadonlyArray<File>): void;
  stop(): void;
}

interface Upload {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly part: number;
  readonly file: Attachment | null;
  readonly problem: string | null;
  readonly abort: () => void;
}

const stored = (file: Attachment): Upload => ({
  key: file.id,
  name: file.name,
  size: file.size,
  part: 1,
  file,
  problem: null,
  abort: () => undefined,
});

interface Props {
  readonly ref: Ref<ComposerHandle>;
  readonly state: ClientState;
  readonly threadId: string | null;
  readonly agent: AgentInfo | null;
  readonly onAgent: (name: string) => void;
}

/** Mount with a key of the thread: each thread has its own draft. */
export function Composer({ ref, state, threadId, agent, onAgent }: Props) {
  const { client, agents, failed } = useApp();
  const [text, setText] = useState(() => loadDraft(threadId).text);
  const [uploads, setUploads] = useState<ReadonlyArray<Upload>>(() => loadDraft(threadId).files.map(stored));
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const fromExample = useRef("");
  const files = uploads.flatMap((each) => each.file ?? []);
  const uploading = uploads.some((each) => each.file === null && each.problem === null);
  const turn = state.thread ? activeTurn(state.thread) : null;
  const runId = turn?.run?.id ?? turn?.runId ?? null;
  const stopping = state.stopping !== null && state.stopping.runId === runId;
  const open = state.connection.phase === "open";
  const now = useNow(stopping || state.heldUntil !== null);
  const held = state.heldUntil === null ? 0 : Math.max(0, Math.ceil((state.heldUntil - now) / 1000));
  const tooLong = state.limits !== null && text.length > state.limits.content_chars;
  const empty = text.trim() === "" && files.length === 0;
  const reason = !open
    ? "Not connected. Your draft is kept."
    : held > 0
      ? `The server asks to wait ${held} s.`
      : tooLong
        ? `Too long: ${text.length.toLocaleString("en")} of ${state.limits?.content_chars.toLocaleString("en")} characters.`
        : uploading
          ? "Waiting for the upload."
          : null;
  const canSend = !empty && reason === null;

  useEffect(() => saveDraft(threadId, { text, files }), [threadId, text, files]);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);
  // Uploads end with the composer unless they were sent.
  const running = useRef(uploads);
  running.current = uploads;
  useEffect(() => () => running.current.forEach((each) => each.file === null && each.abort()), []);

  const patch = (key: string, change: Partial<Upload>): void =>
    setUploads((all) => all.map((each) => (each.key === key ? { ...each, ...change } : each)));

  const addFiles = (added: ReadonlyArray<File>): void => {
    const limits = state.limits;
    for (const file of added) {
      const key = `${file.name}-${file.size}-${Math.random()}`;
      const control = new AbortController();
      const base = {
        key,
        name: file.name,
        size: file.size,
        part: 0,
        file: null,
        problem: null,
        abort: () => control.abort(),
      };
      if (limits && file.size > limits.file_bytes) {
        setUploads((all) => [...all, { ...base, problem: `Larger than ${bytes(limits.file_bytes)}.` }]);
        continue;
      }
      setUploads((all) => [...all, base]);
      upload(file, (part) => patch(key, { part }), control.signal).then(
        (done) => patch(key, { file: done, part: 1 }),
        (error: unknown) => {
          if (error instanceof DOMException && error.name === "AbortError") return;
          patch(key, { problem: error instanceof Error ? error.message : String(error) });
          if (error instanceof Problem && error.status === 401) failed(error);
        },
      );
    }
    area.current?.focus();
  };

  const stop = (): void => {
    if (runId !== null && !stopping && client.cancel(runId)) area.current?.focus();
  };

  const send = (): void => {
    if (!canSend) return;
    client.send(text.trim(), {
      agent: threadId === null || (agents?.items.length ?? 0) > 1 ? (agent?.name ?? null) : null,
      attachments: files,
    });
    fromExample.current = "";
    setText("");
    setUploads([]);
    area.current?.focus();
  };

  useImperativeHandle(ref, () => ({
    focus: () => area.current?.focus(),
    isEmpty: () => text.trim() === "",
    write: (words) => {
      if (text.trim() === "" || text === fromExample.current) {
        fromExample.current = words;
        setText(words);
      }
      area.current?.focus();
    },
    addFiles,
    stop,
  }));

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    }
  };
  const onPaste = (event: ClipboardEvent<HTMLTextAreaElement>): void => {
    const pasted = [...event.clipboardData.files];
    if (pasted.length === 0) return;
    event.preventDefault();
    addFiles(pasted);
  };
  const stillStopping = stopping && state.stopping !== null && now - state.stopping.at > 5000;
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer-box">
        {uploads.length > 0 && (
          <ul className="files composer-files" aria-label="Attachments">
            {uploads.map((each) => (
              <li key={each.key} className={each.problem ? "file problem" : "file"}>
                {each.problem ? <AlertIcon /> : each.file ? <FileIcon /> : <Spinner />}
                <span className="file-name">{each.name}</span>
                <span className="file-size">
                  {each.problem ?? (each.file ? bytes(each.size) : `${Math.round(each.part * 100)} %`)}
                </span>
                <button
                  type="button"
                  className="file-remove"
                  aria-label={`Remove ${each.name}`}
                  onClick={() => {
                    each.abort();
                    setUploads((all) => all.filter((other) => other.key !== each.key));
                    area.current?.focus();
                  }}
                >
                  <CloseIcon size={14} />
                </button>
              </li>
            ))}
          </ul>
        )}
        <textarea
          id="composer"
          ref={area}
          rows={1}
          aria-label="Message"
          aria-describedby="composer-note"
          placeholder={agent ? `Message ${agent.title}` : "Message Netra"}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        <div className="composer-bar">
          <button
            type="button"
            className="icon-button"
            aria-label="Attach files"
            title="Attach files"
            onClick={() => picker.current?.click()}
          >
            <AttachIcon />
          </button>
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            accept={agent && agent.accepts.length > 0 ? agent.accepts.join(",") : undefined}
            onChange={(event) => {
              addFiles([...(event.target.files ?? [])]);
              event.target.value = "";
            }}
          />
          {agents && agents.items.length > 1 && (
            <select
              className="agent-picker"
              aria-label="Agent"
              value={agent?.name ?? ""}
              onChange={(event) => onAgent(event.target.value)}
            >
              {agents.items.map((each) => (
                <option key={each.name} value={each.name}>
                  {each.title}
                </option>
              ))}
            </select>
          )}
          <span id="composer-note" className="composer-note" role="status">
            {!empty && reason
              ? reason
              : stillStopping
                ? "Still stopping: the step under way has not ended yet."
                : turn && !empty
                  ? "A run is active. Your message waits for its turn."
                  : ""}
          </span>
          {turn && !empty && (
            <button
              type="submit"
              className="send"
              aria-label="Send"
              title="Send, to be answered after this run"
              disabled={!canSend}
            >
              <SendIcon />
            </button>
          )}
          {turn ? (
            <button
              type="button"
              className="send stop"
              aria-label={stopping ? "Stopping" : "Stop"}
              title={stopping ? "Stopping" : "Stop (Esc)"}
              disabled={stopping || !open || runId === null}
              onClick={stop}
            >
              {stopping ? <Spinner /> : <StopIcon />}
            </button>
          ) : (
            <button
              type="submit"
              className="send"
              aria-label="Send"
              title={reason ?? "Send (Enter)"}
              disabled={!canSend}
            >
              {held > 0 ? <span className="figure">{held}</span> : <SendIcon />}
            </button>
          )}
        </div>
      </div>
    </form>
  );
}
