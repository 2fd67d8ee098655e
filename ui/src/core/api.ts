/**
 * The HTTP side of the server: types of the answers and one function a call. The login is a cookie the page cannot read;
 * every failure is a `Problem` (RFC 9457) whose words can be shown as they are.
 */
import type { Attachment, User } from "./protocol.gen.ts";

export interface Me {
  readonly user: User | null;
  readonly setup_required: boolean;
  readonly registration: boolean;
  readonly version: string;
}

export interface AgentInfo {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly examples: ReadonlyArray<string>;
  /** File name endings it reads, with the dot. */
  readonly accepts: ReadonlyArray<string>;
  /** There is a file to try it with. */
  readonly sample: boolean;
}

export interface Agents {
  readonly items: ReadonlyArray<AgentInfo>;
  readonly default: string;
}

export interface ThreadSummary {
  readonly id: string;
  readonly title: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly last_seq: number;
  readonly running: boolean;
  readonly agent?: string | null;
}

export interface Page<T> {
  readonly items: ReadonlyArray<T>;
  readonly next_cursor: string | null;
}

export interface AccessToken {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
}

export interface NewAccessToken {
  readonly id: string;
  readonly name: string;
  /** Shown once, never again. */
  readonly token: string;
}

/** What the user said of one answer. */
export interface Rating {
  readonly run_id: string;
  readonly rating: 1 | -1;
  /** Empty when there were no words with it. */
  readonly text: string;
}

/** A request that did not succeed. `message` is for people; `status` is 0 when the server could not be reached. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | null;
  readonly requestId: string | null;
  readonly retryAfter: number | null;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { field?: string | null; requestId?: string | null; retryAfter?: number | null } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = more.field ?? null;
    this.requestId = more.requestId ?? null;
    this.retryAfter = more.retryAfter ?? null;
  }
}

const UNREACHABLE = "The server cannot be reached. Check the connection and try again.";

function problemOf(status: number, text: string, retryAfter: string | null): Problem {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) body = parsed as Record<string, unknown>;
  } catch {
    // Not a problem document (a proxy's page): the status is all there is.
  }
  const word = (key: string): string | null =>
    typeof body[key] === "string" && body[key] !== "" ? (body[key] as string) : null;
  const message = [word("detail") ?? word("title") ?? `The server answered ${status}.`, word("hint")]
    .filter(Boolean)
    .join(" ");
  const seconds = retryAfter === null ? Number.NaN : Number(retryAfter);
  return new Problem(status, word("code") ?? `http_${status}`, message, {
    field: word("field"),
    requestId: word("request_id"),
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  });
}

/** One request; the answer as JSON. Rejects with a `Problem`. */
export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  options: { keepalive?: boolean } = {},
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? null : JSON.stringify(body),
      ...options,
    });
  } catch {
    throw new Problem(0, "unreachable", UNREACHABLE);
  }
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, response.headers.get("retry-after"));
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

const id = encodeURIComponent;

export const api = {
  me: () => call<Me>("GET", "/api/me"),
  login: (email: string, password: string) => call<{ user: User }>("POST", "/api/auth/login", { email, password }),
  register: (email: string, password: string, name: string) =>
    call<{ user: User }>("POST", "/api/auth/register", { email, password, ...(name ? { name } : {}) }),
  setup: (token: string, email: string, password: string, name: string) =>
    call<{ user: User }>("POST", "/api/auth/setup", { token, email, password, ...(name ? { name } : {}) }),
  logout: () => call<void>("POST", "/api/auth/logout"),
  changePassword: (current: string, next: string) => call<void>("POST", "/api/auth/password", { current, new: next }),
  tokens: () => call<Page<AccessToken>>("GET", "/api/tokens"),
  createToken: (name: string, expiresIn: number | null) =>
    call<NewAccessToken>("POST", "/api/tokens", { name, ...(expiresIn === null ? {} : { expires_in: expiresIn }) }),
  deleteToken: (token: string) => call<void>("DELETE", `/api/tokens/${id(token)}`),
  agents: () => call<Agents>("GET", "/api/agents"),
  threads: (q: string, cursor: string | null, limit = 50) =>
    call<Page<ThreadSummary>>(
      "GET",
      `/api/threads?${new URLSearchParams({ limit: String(limit), ...(q ? { q } : {}), ...(cursor ? { cursor } : {}) })}`,
    ),
  thread: (thread: string) => call<ThreadSummary>("GET", `/api/threads/${id(thread)}`),
  renameThread: (thread: string, title: string) =>
    call<ThreadSummary>("PATCH", `/api/threads/${id(thread)}`, { title }),
  deleteThread: (thread: string) => call<void>("DELETE", `/api/threads/${id(thread)}`, undefined, { keepalive: true }),
  feedback: (thread: string) => call<{ items: ReadonlyArray<Rating> }>("GET", `/api/threads/${id(thread)}/feedback`),
  giveFeedback: (run: string, rating: 1 | -1, text: string) =>
    call<Rating>("PUT", `/api/runs/${id(run)}/feedback`, { rating, ...(text === "" ? {} : { text }) }),
  takeBackFeedback: (run: string) => call<void>("DELETE", `/api/runs/${id(run)}/feedback`),
};

/** The value behind a `BlobRef`. */
export async function blobValue(blob: string): Promise<unknown> {
  return call<unknown>("GET", `/api/blobs/${id(blob)}`);
}

/** An agent's sample file, to try it without data of one's own. */
export async function sampleFile(agent: string): Promise<File> {
  const response = await fetch(`/api/agents/${id(agent)}/sample`, { credentials: "same-origin" }).catch(() => null);
  if (!response) throw new Problem(0, "unreachable", UNREACHABLE);
  if (!response.ok) throw problemOf(response.status, await response.text(), null);
  const named = /filename="?([^";]+)"?/.exec(response.headers.get("content-disposition") ?? "")?.[1];
  return new File([await response.blob()], named ?? "sample-usage.csv", {
    type: response.headers.get("content-type") ?? "text/csv",
  });
}

/** Upload one file. `onProgress` gets a figure in [0, 1]; aborting the signal rejects with an `AbortError`. */
export function upload(file: File, onProgress: (part: number) => void, signal: AbortSignal): Promise<Attachment> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, file.name);
    request.open("POST", "/api/files");
    request.setRequestHeader("accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, "unreachable", UNREACHABLE));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as Attachment);
      else reject(problemOf(request.status, request.responseText, request.getResponseHeader("retry-after")));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
