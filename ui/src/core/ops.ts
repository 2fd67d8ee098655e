/** What administrators ask the server, and change on it. Every call is refused with 404 for everybody else. */
import { call, type AccessToken, type Page } from "./api.ts";
import type { LiveExecution, Operations } from "./protocol.gen.ts";

export type Severity = "info" | "warning" | "critical";

export interface Series {
  readonly name: string;
  readonly unit: "" | "s" | "bytes";
  readonly kind: "gauge" | "count" | "quantile";
  readonly meaning: string;
  readonly values: ReadonlyArray<number | null>;
}

export interface ServerHistory {
  readonly step_seconds: number;
  readonly times: ReadonlyArray<string>;
  readonly series: ReadonlyArray<Series>;
}

export interface EndedExecution {
  readonly id: string;
  readonly user_id: string;
  readonly thread_id: string;
  readonly agent: string;
  readonly state: string;
  readonly status: string;
  readonly attempt: number;
  readonly worker: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
}

export interface ActiveExecution extends LiveExecution {
  readonly worker: string | null;
  readonly timeout_seconds: number | null;
}

export interface Breaker {
  readonly kind: "agent" | "host";
  readonly name: string;
  readonly state: "closed" | "half_open" | "open";
  readonly calls: number;
  readonly failures: number;
  readonly trips: number;
  readonly retry_after_seconds: number | null;
  readonly reason: string | null;
}

export interface Executions {
  readonly active: ReadonlyArray<ActiveExecution>;
  readonly ended: ReadonlyArray<EndedExecution>;
  readonly next_cursor: string | null;
  readonly breakers: ReadonlyArray<Breaker>;
  readonly refusals: Readonly<Record<string, number>>;
}

export interface Execution extends EndedExecution {
  readonly phase: string | null;
  readonly heartbeat_age_seconds: number | null;
  readonly progress_age_seconds: number | null;
  readonly error: string | null;
  readonly steps: ReadonlyArray<{
    readonly phase: string;
    readonly state: string;
    readonly at: string;
    readonly note: string | null;
  }>;
}

/** An event of a run without any words of its user or agent. */
export interface RunEvent {
  readonly seq: number;
  readonly type: string;
  readonly at: string;
  readonly attempt: number | null;
  readonly agent: string | null;
  readonly call_id: string | null;
  readonly tool: string | null;
  readonly duration_ms: number | null;
  readonly success: boolean | null;
  readonly bytes: number;
}

export interface DatabaseSession {
  readonly id: string;
  readonly request_id: string;
  readonly user_id: string;
  readonly run_id: string | null;
  readonly state: string;
  readonly opened_at: string;
  readonly age_seconds: number;
  readonly held_seconds: number | null;
  readonly last_statement_kind: string | null;
  readonly leaked: boolean;
}

export interface Pool {
  readonly size: number;
  readonly checked_out: number;
  readonly waits: number;
  readonly exhausted: number;
  readonly invalidated: number;
}

export interface Sessions {
  readonly database: {
    readonly health: "healthy" | "degraded" | "unhealthy";
    readonly reasons: ReadonlyArray<string>;
    readonly open: number;
    readonly peak: number;
    readonly attempted: number;
    readonly failed: number;
    readonly leaks: number;
    readonly exhausted: number;
    readonly errors: Readonly<Record<string, number>>;
    readonly pools: Readonly<Record<string, Pool>>;
  };
  readonly users: {
    readonly users: number;
    readonly sessions: number;
    readonly active_users: Readonly<Record<string, number>>;
  };
}

export interface Incident {
  readonly id: string;
  readonly rule: string;
  readonly key: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly opened_at: string;
  readonly resolved_at: string | null;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: string | null;
  readonly note: string | null;
}

export interface AlertRule {
  readonly name: string;
  readonly severity: Severity;
  readonly meaning: string;
  readonly unit: "" | "share" | "s" | "bytes";
  readonly fires_at: number;
  readonly falling: boolean;
  readonly values: Readonly<Record<string, number>>;
}

export interface Alerts {
  readonly open: ReadonlyArray<Incident>;
  readonly recent: ReadonlyArray<Incident>;
  readonly rules: ReadonlyArray<AlertRule>;
}

export interface Silence {
  readonly id: string;
  readonly rule: string;
  readonly key: string | null;
  readonly note: string;
  readonly made_by: string;
  readonly made_at: string;
  readonly until: string;
}

export interface Account {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly roles: ReadonlyArray<string>;
  readonly created_at: string;
  readonly disabled_at: string | null;
  readonly last_seen_at: string | null;
  readonly logins: number;
  readonly tokens: number;
}

export interface Login {
  readonly id: string;
  readonly user_id: string;
  readonly email: string;
  readonly user_agent: string;
  readonly created_at: string;
  readonly last_seen_at: string;
  readonly expires_at: string;
  readonly connections: number;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface CheckedRule {
  readonly id: string;
  readonly name: string;
  readonly severity: "error" | "warning" | "info";
  readonly summary: string;
  readonly result: "fail" | "waived" | "pass";
  readonly findings: number;
  readonly waived: number;
  readonly exposure: number;
  readonly of: string;
}

export interface CheckFinding {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
  readonly reason: string | null;
  readonly since: string | null;
  readonly since_version: string | null;
}

export interface CheckedVersion {
  readonly version: string;
  readonly commit: string | null;
  readonly since: string;
  readonly score: number;
  readonly rule_set: string;
  readonly findings: number;
  readonly waived: number;
}

export interface Check {
  readonly version: string;
  readonly commit: string | null;
  readonly made_at: string;
  readonly score: number;
  readonly scopes: Readonly<Record<string, number | null>>;
  readonly rules: ReadonlyArray<CheckedRule>;
  readonly findings: ReadonlyArray<CheckFinding>;
  readonly waived: ReadonlyArray<CheckFinding>;
  readonly change: {
    readonly version: string;
    readonly commit: string | null;
    readonly score: number;
    readonly same_rules: boolean;
    readonly came: ReadonlyArray<CheckFinding>;
    readonly went: ReadonlyArray<CheckFinding>;
    readonly waived: ReadonlyArray<CheckFinding>;
  } | null;
  /** The oldest first. */
  readonly runs: ReadonlyArray<CheckedVersion>;
}

export interface Compliance {
  readonly version: string;
  readonly command: string;
  /** Null when the package was made without one. */
  readonly check: Check | null;
}

const part = encodeURIComponent;
function query(parameters: Readonly<Record<string, string | number | null | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}
const BASE = "/api/admin";

export const ops = {
  overview: () => call<Operations>("GET", `${BASE}/overview`),
  history: (minutes: number) => call<ServerHistory>("GET", `${BASE}/history${query({ minutes })}`),
  executions: (filter: { state?: string; agent?: string; user?: string; thread?: string; cursor?: string }) =>
    call<Executions>("GET", `${BASE}/executions${query({ ...filter, limit: 50 })}`),
  execution: (run: string) => call<Execution>("GET", `${BASE}/executions/${part(run)}`),
  runEvents: (run: string) => call<{ items: ReadonlyArray<RunEvent> }>("GET", `${BASE}/executions/${part(run)}/events`),
  stopExecution: (run: string) => call<void>("POST", `${BASE}/executions/${part(run)}/cancel`),
  sessions: () => call<Sessions>("GET", `${BASE}/sessions`),
  databaseSessions: () => call<{ items: ReadonlyArray<DatabaseSession> }>("GET", `${BASE}/sessions/database`),
  endDatabaseSession: (session: string) => call<void>("POST", `${BASE}/sessions/database/${part(session)}/end`),
  alerts: () => call<Alerts>("GET", `${BASE}/alerts`),
  openAlerts: () => call<Alerts>("GET", `${BASE}/alerts?limit=1`),
  acknowledge: (incident: string, note: string) =>
    call<Incident>("POST", `${BASE}/alerts/${part(incident)}/acknowledge`, { note }),
  silences: () => call<{ items: ReadonlyArray<Silence> }>("GET", `${BASE}/silences`),
  silence: (rule: string, key: string | null, minutes: number, note: string) =>
    call<Silence>("POST", `${BASE}/silences`, { rule, key, minutes, note }),
  endSilence: (silence: string) => call<void>("DELETE", `${BASE}/silences/${part(silence)}`),
  users: (search: string, cursor: string | null) =>
    call<Page<Account>>("GET", `${BASE}/users${query({ search, cursor })}`),
  user: (user: string) => call<Account>("GET", `${BASE}/users/${part(user)}`),
  createUser: (email: string, name: string, admin: boolean) =>
    call<{ user: Account; password: string }>("POST", `${BASE}/users`, {
      email,
      admin,
      ...(name === "" ? {} : { name }),
    }),
  changeUser: (user: string, change: { disabled?: boolean; admin?: boolean }) =>
    call<Account>("PATCH", `${BASE}/users/${part(user)}`, change),
  resetPassword: (user: string) => call<{ password: string }>("POST", `${BASE}/users/${part(user)}/password`),
  logins: (user: string) => call<{ items: ReadonlyArray<Login> }>("GET", `${BASE}/users/${part(user)}/logins`),
  allLogins: () => call<{ items: ReadonlyArray<Login> }>("GET", `${BASE}/logins`),
  endLogin: (login: string) => call<void>("DELETE", `${BASE}/logins/${part(login)}`),
  tokens: (user: string) => call<{ items: ReadonlyArray<AccessToken> }>("GET", `${BASE}/users/${part(user)}/tokens`),
  revokeToken: (token: string) => call<void>("DELETE", `${BASE}/tokens/${part(token)}`),
  audit: (cursor: string | null) => call<Page<AuditEntry>>("GET", `${BASE}/audit${query({ cursor })}`),
  compliance: () => call<Compliance>("GET", `${BASE}/compliance`),
};
