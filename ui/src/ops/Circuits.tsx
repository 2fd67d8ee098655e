/** Circuits: agents and hosts that are called, and those that are left alone because they failed too often. */
import { humanise } from "../core/format.ts";
import type { Breaker } from "../core/ops.ts";
import { Chip, DataTable, Panel, type Tone } from "./parts.tsx";

const TONES: Readonly<Record<Breaker["state"], Tone>> = { closed: "good", half_open: "warn", open: "bad" };

/** Those that are left alone; nothing without any. They stand above what else is shown. */
export function OpenCircuits({ breakers }: { readonly breakers: ReadonlyArray<Breaker> }) {
  const open = breakers.filter((each) => each.state !== "closed");
  return open.length === 0 ? null : (
    <Panel title="Open circuits" words="These failed too often, and are left alone for a while.">
      <Table label="Open circuits" breakers={open} />
    </Panel>
  );
}

export function Circuits({ breakers }: { readonly breakers: ReadonlyArray<Breaker> }) {
  return (
    <Panel title="Circuits" words="An agent or a host that fails too often is left alone for a while.">
      {breakers.length === 0 ? (
        <p className="panel-empty">No agent or host has been called yet.</p>
      ) : (
        <Table label="Circuits" breakers={breakers} />
      )}
    </Panel>
  );
}

function Table({ label, breakers }: { readonly label: string; readonly breakers: ReadonlyArray<Breaker> }) {
  return (
    <DataTable
      label={label}
      rows={breakers}
      id={(row) => `${row.kind} ${row.name}`}
      columns={[
        { name: "Of", cell: (row) => `${humanise(row.kind)} ${row.name}` },
        { name: "State", cell: (row) => <Chip tone={TONES[row.state]}>{row.state.replace("_", " ")}</Chip> },
        {
          name: "Failures, last minute",
          align: "right",
          cell: (row) => `${row.failures} of ${row.calls}`,
          wide: true,
        },
        { name: "Opened", align: "right", cell: (row) => `${row.trips} ×`, wide: true },
        { name: "Why", text: true, cell: why },
      ]}
    />
  );
}

function why({ state, reason, retry_after_seconds: wait }: Breaker): string {
  if (state === "closed") return "";
  return [reason, wait === null ? null : `tried again in ${Math.ceil(wait)} s`].filter(Boolean).join("; ");
}
