/** What administrators did, newest first. */
import { useState } from "react";
import { oneLine } from "../core/format.ts";
import { ops, type AuditEntry } from "../core/ops.ts";
import { useApp } from "../components/app.ts";
import { DataTable, Loaded, More, Panel } from "./parts.tsx";
import { usePolled } from "./state.ts";

export function AuditPanel() {
  const app = useApp();
  const polled = usePolled(() => ops.audit(null), "audit", null);
  const [older, setOlder] = useState<{
    readonly rows: ReadonlyArray<AuditEntry>;
    readonly cursor: string | null;
  } | null>(null);
  const [busy, setBusy] = useState(false);
  return (
    <Panel title="Audit log" words="What administrators changed, here and at the command line. It cannot be edited.">
      <Loaded polled={polled} empty={(data) => (data.items.length === 0 ? "Nobody has changed anything yet." : null)}>
        {(data) => {
          const cursor = older === null ? data.next_cursor : older.cursor;
          return (
            <>
              <DataTable
                label="Audit log"
                rows={[...data.items, ...(older?.rows ?? [])]}
                id={(row) => row.id}
                columns={[
                  { name: "When", cell: (row) => <span className="moment">{new Date(row.at).toLocaleString()}</span> },
                  { name: "Who", cell: (row) => row.actor },
                  { name: "What", cell: (row) => row.action },
                  { name: "On", cell: (row) => <code>{row.target}</code> },
                  { name: "Details", cell: (row) => oneLine(row.details), wide: true },
                ]}
              />
              {cursor !== null && (
                <More
                  busy={busy}
                  onMore={async () => {
                    setBusy(true);
                    try {
                      const next = await ops.audit(cursor);
                      setOlder({ rows: [...(older?.rows ?? []), ...next.items], cursor: next.next_cursor });
                    } catch (error) {
                      app.failed(error);
                    }
                    setBusy(false);
                  }}
                />
              )}
            </>
          );
        }}
      </Loaded>
    </Panel>
  );
}
