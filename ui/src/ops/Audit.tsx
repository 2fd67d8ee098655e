/** What administrators did, newest first. */
import { oneLine } from "../core/format.ts";
import { ops } from "../core/ops.ts";
import { DataTable, Loaded, Moment, More, Panel } from "./parts.tsx";
import { usePages, usePolled } from "./state.ts";

export function AuditPanel() {
  const polled = usePolled(() => ops.audit(null), "audit", null);
  const pages = usePages("audit", polled.data, ops.audit);
  return (
    <Panel title="Audit log" words="What administrators changed, here and at the command line. It cannot be edited.">
      <Loaded polled={polled} empty={(data) => (data.items.length === 0 ? "Nobody has changed anything yet." : null)}>
        {() => (
          <DataTable
            label="Audit log"
            rows={pages.rows}
            id={(row) => row.id}
            columns={[
              { name: "When", cell: (row) => <Moment at={row.at} /> },
              { name: "Who", cell: (row) => row.actor },
              { name: "What", cell: (row) => row.action },
              { name: "On", cell: (row) => <code>{row.target}</code> },
              { name: "Details", cell: (row) => oneLine(row.details), wide: true },
            ]}
          />
        )}
      </Loaded>
      <More of={pages} />
    </Panel>
  );
}
