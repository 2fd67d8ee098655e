/** A chart with its title, legend, units and note, and the same figures as a table. Drawing is in a chunk of its own. */
import { useEffect, useId, useRef, useState, useSyncExternalStore, type RefObject } from "react";
import { figure, xLabel, type Chart } from "../core/chart.ts";
import { ChartIcon, TableIcon } from "./icons.tsx";

const HEIGHT = 260;

const dark = matchMedia("(prefers-color-scheme: dark)");
export function onTheme(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  dark.addEventListener("change", listener);
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", listener);
  };
}
export const themeNow = (): string => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

export function ChartFigure({
  chart,
  name,
  growing,
}: {
  readonly chart: Chart | undefined;
  readonly name: string;
  readonly growing: boolean;
}) {
  if (!chart) {
    return growing ? (
      <div className="chart chart-waiting" role="img" aria-label={`Chart ${name}, drawn when the answer is complete`}>
        <ChartIcon size={20} />
        <span>The chart is drawn when the answer is complete.</span>
      </div>
    ) : (
      <div className="chart chart-missing">
        <ChartIcon size={20} />
        <span>
          No data for chart <code>{name}</code>.
        </span>
      </div>
    );
  }
  return <Figure chart={chart} />;
}

function Figure({ chart }: { readonly chart: Chart }) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption className="chart-head">
        <span id={id} className="chart-title">
          {chart.title}
        </span>
        <button type="button" className="quiet-button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? <ChartIcon size={14} /> : <TableIcon size={14} />}
          {asTable ? "View as chart" : "View as table"}
        </button>
      </figcaption>
      {(chart.series.length > 1 || chart.series[0]?.name) && (
        <ul className="chart-legend" aria-label="Legend">
          {chart.series.map((series, index) => (
            <li key={series.name}>
              <span className={`swatch series-${index % 8}`} aria-hidden="true" />
              {series.name}
            </li>
          ))}
        </ul>
      )}
      {asTable ? <Table chart={chart} /> : <Plot chart={chart} />}
      {chart.note && <p className="chart-note">{chart.note}</p>}
    </figure>
  );
}

/** True once the element has come near the view: a long conversation has many charts, and few are looked at. */
function useNear(ref: RefObject<HTMLElement | null>): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (near || !ref.current) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((each) => each.isIntersecting) && setNear(true),
      { rootMargin: "600px 0px" },
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [near, ref]);
  return near;
}

function Plot({ chart }: { readonly chart: Chart }) {
  const host = useRef<HTMLDivElement>(null);
  const theme = useSyncExternalStore(onTheme, themeNow);
  const [state, setState] = useState<"loading" | "ready" | "failed">("loading");
  const [point, setPoint] = useState<{ readonly index: number; readonly left: number; readonly flip: boolean } | null>(
    null,
  );
  const near = useNear(host);
  useEffect(() => {
    const element = host.current;
    if (!element || !near) return;
    let gone = false;
    let destroy: (() => void) | undefined;
    import("../core/plot.ts")
      .then(({ plot }) => {
        if (gone) return;
        destroy = plot(element, chart, HEIGHT, setPoint);
        setState("ready");
      })
      .catch(() => !gone && setState("failed"));
    return () => {
      gone = true;
      setPoint(null);
      destroy?.();
    };
  }, [chart, theme, near]);
  const axes = `${chart.y.label || chart.y.unit} by ${chart.x.label || "category"}`;
  const kind = `${chart.kind.replace("_", " ")} chart of ${axes}, ${chart.x.values.length} points`;
  const summary = `${chart.title}. ${kind}. Use View as table for the figures.`;
  return (
    <div className="chart-plot">
      <div ref={host} className="chart-canvas" role="img" aria-label={summary} />
      {state === "loading" && <div className="chart-cover skeleton" />}
      {state === "failed" && (
        <p className="chart-cover chart-note">The chart could not be loaded. The table has the same figures.</p>
      )}
      {point && (
        <div className="chart-tip" data-flip={point.flip} style={{ left: point.left }}>
          <strong>{xLabel(chart, point.index)}</strong>
          {chart.series.map((series, index) => (
            <span key={series.name} className="chart-tip-row">
              <span className={`swatch series-${index % 8}`} />
              <span className="chart-tip-name">{series.name || chart.y.label}</span>
              <span className="figure">{figure(series.values[point.index] ?? null, chart.y.unit)}</span>
            </span>
          ))}
        </div>
      )}
    </div>
  );
}

function Table({ chart }: { readonly chart: Chart }) {
  return (
    <div className="table-scroll chart-table" role="region" aria-label={`${chart.title}, as a table`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{chart.x.label || "Category"}</th>
            {chart.series.map((series) => (
              <th key={series.name} scope="col" className="align-right">
                {series.name || chart.y.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {chart.x.values.map((value, index) => (
            <tr key={`${index}-${value}`}>
              <th scope="row">{xLabel(chart, index)}</th>
              {chart.series.map((series) => (
                <td key={series.name} className="align-right figure">
                  {figure(series.values[index] ?? null, chart.y.unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
