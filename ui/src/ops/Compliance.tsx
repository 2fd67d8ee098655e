/** What `netra check` says of the running version's own source, and said of the versions that ran here before it. */
import { plural } from "../core/format.ts";
import { ops, type Check, type CheckFinding, type CheckedRule, type CheckedVersion } from "../core/ops.ts";
import { Chip, DataTable, Facts, Loaded, Moment, Panel, type Column, type Tone } from "./parts.tsx";
import { usePolled, useQuery } from "./state.ts";

/** What the rules are about, by the digit their numbers begin with. */
const SUBJECTS: Readonly<Record<string, string>> = {
  1: "One definition, one name",
  2: "Imports",
  3: "Attributes and arguments",
  4: "Factories and shared objects",
  5: "Architecture",
  6: "Stubs and mocks",
  7: "Size",
  9: "The checker's own order",
};

export function CompliancePanel() {
  const polled = usePolled(ops.compliance, "compliance", null);
  return (
    <Loaded polled={polled}>
      {({ version, command, check }) =>
        check === null ? (
          <Panel title="One source of truth" words={`Netra ${version}`}>
            <p className="panel-empty">
              <span>
                Not run yet: no check was packaged with this version. Run <code>{command}</code> in a checkout.
              </span>
            </p>
          </Panel>
        ) : (
          <>
            <Verdict check={check} />
            <Trend runs={check.runs} />
            <Change check={check} />
            <Findings check={check} />
            <Rules rules={check.rules} />
          </>
        )
      }
    </Loaded>
  );
}

const score = (value: number | null): string => (value === null ? "–" : value.toFixed(1));
const named = ({ version, commit }: { readonly version: string; readonly commit: string | null }): string =>
  commit === null ? version : `${version} (${commit})`;

function Verdict({ check }: { readonly check: Check }) {
  const results = (["fail", "waived", "pass"] as const)
    .map((result) => [result, check.rules.filter((rule) => rule.result === result).length] as const)
    .filter(([, count]) => count > 0);
  return (
    <Panel
      title="One source of truth"
      words={
        <>
          What <code>netra check</code> says of the source of Netra {named(check)}, made on{" "}
          <span className="moment">{new Date(check.made_at).toLocaleString()}</span>.
        </>
      }
      actions={
        <a className="button secondary" href="/api/admin/compliance/report" download>
          Download JSON
        </a>
      }
    >
      <p className="score figure">{score(check.score)}</p>
      <Facts
        of={[
          ...Object.entries(check.scopes).map(([scope, value]) => [scope, score(value)] as const),
          ["Rules", results.map(([result, count]) => `${count} ${result}`).join(", ")],
          ["Findings", `${check.findings.length} open, ${check.waived.length} waived`],
        ]}
      />
    </Panel>
  );
}

const what = (row: CheckFinding) => (
  <>
    {row.message}
    <code className="place">{`${row.path}:${row.line}`}</code>
  </>
);
const since = (row: CheckFinding) =>
  row.since === null ? (
    <span className="quiet">–</span>
  ) : (
    <span className="moment" title={new Date(row.since).toLocaleString()}>
      {`${new Date(row.since).toLocaleDateString()}, ${row.since_version}`}
    </span>
  );
const mark = (row: CheckFinding): string => `${row.rule} ${row.path} ${row.line} ${row.message}`;

const FINDING: ReadonlyArray<Column<CheckFinding>> = [
  { name: "Rule", cell: (row) => row.rule },
  { name: "What, and where", cell: what, text: true },
];

function Change({ check: { change } }: { readonly check: Check }) {
  if (change === null) return null;
  const rows = [
    ...change.came.map((each) => ({ ...each, kind: "new" })),
    ...change.went.map((each) => ({ ...each, kind: "gone" })),
    ...change.waived.map((each) => ({ ...each, kind: "waived" })),
  ];
  const tones: Readonly<Record<string, Tone>> = { new: "bad", gone: "good", waived: "warn" };
  return (
    <Panel
      title="Since the version before"
      words={`Against ${named(change)}, which had ${score(change.score)}.${
        change.same_rules ? "" : " The rules or the configuration are others now, so the scores do not compare."
      }`}
    >
      {rows.length === 0 ? (
        <p className="panel-empty">Nothing came, and nothing went.</p>
      ) : (
        <DataTable
          label="Since the version before"
          rows={rows}
          id={(row) => `${row.kind} ${mark(row)}`}
          columns={[
            { name: "Change", cell: (row) => <Chip tone={tones[row.kind] ?? "plain"}>{row.kind}</Chip> },
            ...FINDING,
          ]}
        />
      )}
    </Panel>
  );
}

function Findings({ check: { findings, waived } }: { readonly check: Check }) {
  const first: Column<CheckFinding> = { name: "Since", cell: since, wide: true };
  return (
    <>
      <Panel title="Findings">
        {findings.length === 0 ? (
          <p className="panel-empty">Nothing is wrong.</p>
        ) : (
          <DataTable label="Findings" rows={findings} id={mark} columns={[...FINDING, first]} />
        )}
      </Panel>
      {waived.length > 0 && (
        <Panel title="Waived" words="Found, and allowed by a comment or the configuration.">
          <DataTable
            label="Waived"
            rows={waived}
            id={mark}
            columns={[...FINDING, { name: "Why", cell: (row) => row.reason, text: true }, first]}
          />
        </Panel>
      )}
    </>
  );
}

const RESULTS: Readonly<Record<CheckedRule["result"], Tone>> = { fail: "bad", waived: "warn", pass: "good" };
const ORDER = Object.keys(RESULTS);

function Rules({ rules }: { readonly rules: ReadonlyArray<CheckedRule> }) {
  const [query, change] = useQuery();
  return (
    <Panel title="Rules">
      <DataTable
        label="Rules"
        rows={rules}
        id={(row) => row.id}
        group={(row) => SUBJECTS[row.id.replace(/^\D+/, "").charAt(0)] ?? "Others"}
        summary={(rows) =>
          ORDER.map((result) => [rows.filter((row) => row.result === result).length, result] as const)
            .filter(([count]) => count > 0)
            .map(([count, result]) => `${count} ${result}`)
            .join(", ")
        }
        sort={query.get("sort")}
        onSort={(sort) => change({ sort })}
        columns={[
          { name: "Rule", by: (row) => row.id, cell: (row) => <span title={row.name}>{row.id}</span> },
          {
            name: "Result",
            by: (row) => ORDER.indexOf(row.result),
            cell: (row) => <Chip tone={RESULTS[row.result]}>{row.result}</Chip>,
          },
          { name: "What it finds", cell: (row) => row.summary.replaceAll("`", ""), text: true },
          { name: "Severity", by: (row) => row.severity, cell: (row) => row.severity, wide: true },
          {
            name: "Found",
            align: "right",
            by: (row) => row.findings,
            cell: (row) => `${row.findings} in ${row.exposure.toLocaleString("en")} ${row.of}`,
            wide: true,
          },
          { name: "Waived", align: "right", by: (row) => row.waived, cell: (row) => row.waived, wide: true },
        ]}
      />
    </Panel>
  );
}

/** The versions that ran here, as a line and as a table. */
function Trend({ runs }: { readonly runs: ReadonlyArray<CheckedVersion> }) {
  return (
    <Panel
      title="Trend"
      words="The versions that ran here, and what the checker said of each. Scores compare under the same rules only."
    >
      <TrendLine scores={runs.map((run) => run.score)} />
      <DataTable
        label="Versions that ran here, the newest first"
        rows={[...runs].reverse()}
        id={(row) => row.since}
        columns={[
          { name: "Runs since", cell: (row) => <Moment at={row.since} /> },
          { name: "Version", cell: named },
          { name: "Score", align: "right", cell: (row) => score(row.score) },
          { name: "Findings", align: "right", cell: (row) => row.findings },
          { name: "Waived", align: "right", cell: (row) => row.waived, wide: true },
          { name: "Rules", cell: (row) => <code>{row.rule_set}</code>, wide: true },
        ]}
      />
      {runs.length < 2 && (
        <p className="panel-note">{`${plural(runs.length, "version")} so far: the next one is compared with it.`}</p>
      )}
    </Panel>
  );
}

/** From the worst score to 100, a step for each version. The table has the figures. */
function TrendLine({ scores }: { readonly scores: ReadonlyArray<number> }) {
  if (scores.length < 2) return null;
  const lowest = Math.min(99, ...scores);
  const y = (value: number): string => (4 + ((100 - value) / (100 - lowest)) * 40).toFixed(1);
  const steps = scores
    .map((value, at) => `${at === 0 ? "M0" : `H${at}`} ${at === 0 ? y(value) : `V${y(value)}`}`)
    .join("");
  return (
    <svg className="trend" viewBox={`0 0 ${scores.length} 48`} preserveAspectRatio="none" aria-hidden="true">
      <path d={`${steps}H${scores.length}`} />
    </svg>
  );
}
