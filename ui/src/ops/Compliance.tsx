/** What `netra check` says of the running version's own source, made when it was packaged. */
import { ops } from "../core/ops.ts";
import { Chip, DataTable, Loaded, Panel } from "./parts.tsx";
import { usePolled, useQuery } from "./state.ts";

export function CompliancePanel() {
  const [query, change] = useQuery();
  const polled = usePolled(ops.compliance, "compliance", null);
  return (
    <Loaded polled={polled}>
      {(data) =>
        !data.available ? (
          <Panel title="One source of truth">
            <p className="panel-empty">
              No check was packaged with this version. Run <code>{data.command}</code> in a checkout.
            </p>
          </Panel>
        ) : (
          <>
            <Panel
              title="One source of truth"
              words={`What netra check says of the source of Netra ${data.version}.`}
              actions={
                <a className="button secondary" href="/api/admin/compliance" download="netra-compliance.json">
                  Download JSON
                </a>
              }
            >
              <p className="score figure">{data.score === null ? "–" : data.score.toFixed(1)}</p>
              <dl className="ops-facts">
                {Object.entries(data.scopes).map(([scope, score]) => (
                  <div key={scope}>
                    <dt>{scope}</dt>
                    <dd className="figure">{score.toFixed(1)}</dd>
                  </div>
                ))}
              </dl>
            </Panel>
            <Panel title="Rules">
              <DataTable
                label="Rules"
                rows={[...data.rules].sort((one, other) => other.findings - one.findings)}
                id={(row) => row.id}
                sort={query.get("sort")}
                onSort={(sort) => change({ sort })}
                columns={[
                  { name: "Rule", by: (row) => row.id, cell: (row) => row.id },
                  { name: "Result", by: (row) => -row.findings, cell: (row) => <Chip tone={row.findings === 0 ? "good" : row.severity === "error" ? "bad" : row.severity === "warning" ? "warn" : "plain"}>{row.findings === 0 ? "pass" : row.severity}</Chip> },
                  { name: "What it finds", cell: (row) => row.summary, text: true },
                  { name: "Severity", by: (row) => row.severity, cell: (row) => row.severity, wide: true },
                  { name: "Findings", align: "right", by: (row) => row.findings, cell: (row) => `${row.findings} of ${row.exposure.toLocaleString("en")}` },
                  { name: "Compliance", align: "right", by: (row) => row.compliance, cell: (row) => `${row.compliance.toFixed(1)} %` },
                ]}
              />
            </Panel>
            {data.findings.length > 0 && (
              <Panel title="Findings">
                <DataTable
                  label="Findings"
                  rows={data.findings}
                  id={(row) => `${row.rule} ${row.path} ${row.line} ${row.message}`}
                  columns={[
                    { name: "Rule", cell: (row) => row.rule },
                    { name: "Where", cell: (row) => <code>{`${row.path}:${row.line}`}</code> },
                    { name: "What", cell: (row) => row.message, text: true },
                  ]}
                />
              </Panel>
            )}
          </>
        )
      }
    </Loaded>
  );
}
