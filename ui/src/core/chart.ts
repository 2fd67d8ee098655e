/**
 * A chart as agents send it in `agent_completed.result.charts`: data and words, no drawing. Nothing an agent sends is
 * trusted to have the right shape, so a chart that does not hold together is left out.
 */
export type Unit = "usd" | "tokens" | "requests" | "count";

export interface Chart {
  readonly id: string;
  readonly title: string;
  readonly kind: "line" | "bar" | "stacked_bar";
  readonly x: { readonly label: string; readonly type: "time" | "category"; readonly values: ReadonlyArray<string> };
  readonly y: { readonly label: string; readonly unit: Unit };
  readonly series: ReadonlyArray<{ readonly name: string; readonly values: ReadonlyArray<number | null> }>;
  readonly note: string | null;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

function readChart(value: unknown): Chart | null {
  if (!isRecord(value) || !isRecord(value.x) || !isRecord(value.y) || !Array.isArray(value.series)) return null;
  const { id, kind, x, y } = value;
  if (
    typeof id !== "string" ||
    (kind !== "line" && kind !== "bar" && kind !== "stacked_bar") ||
    !Array.isArray(x.values)
  )
    return null;
  const values = x.values.map(String);
  const series = value.series.filter(isRecord).map((each) => ({
    name: text(each.name),
    values: values.map((_, index) => {
      const figure = Array.isArray(each.values) ? each.values[index] : null;
      return typeof figure === "number" && Number.isFinite(figure) ? figure : null;
    }),
  }));
  if (values.length === 0 || series.length === 0) return null;
  const time = x.type === "time" && values.every((each) => Number.isFinite(Date.parse(each)));
  const unit = y.unit === "usd" || y.unit === "tokens" || y.unit === "requests" ? y.unit : "count";
  return {
    id,
    title: text(value.title) || id,
    kind,
    x: { label: text(x.label), type: time ? "time" : "category", values },
    y: { label: text(y.label), unit },
    series,
    note: text(value.note) || null,
  };
}

/** The charts of a run's result, by id. */
export function chartsOf(result: unknown): ReadonlyMap<string, Chart> {
  const raw = isRecord(result) && Array.isArray(result.charts) ? result.charts : [];
  const charts = raw.map(readChart).filter((each) => each !== null);
  return new Map(charts.map((each) => [each.id, each]));
}

/** What the agent offers to ask next. */
export function suggestionsOf(result: unknown): ReadonlyArray<string> {
  if (!isRecord(result) || !Array.isArray(result.suggestions)) return [];
  return result.suggestions
    .filter((each): each is string => typeof each === "string" && each.trim() !== "")
    .slice(0, 6);
}

/** A figure with its unit, for tooltips and tables. */
export function figure(value: number | null, unit: Unit): string {
  if (value === null) return "–";
  if (unit === "usd") {
    const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
    return `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: digits })}`;
  }
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

/** The same in the few characters an axis has. */
export function shortFigure(value: number, unit: Unit): string {
  const size = Math.abs(value);
  const [scaled, suffix] =
    size >= 1e9
      ? [value / 1e9, "B"]
      : size >= 1e6
        ? [value / 1e6, "M"]
        : size >= 1e4
          ? [value / 1e3, "k"]
          : [value, ""];
  const digits = Math.abs(scaled) >= 100 || Number.isInteger(scaled) ? 0 : Math.abs(scaled) >= 1 ? 1 : 3;
  const words = scaled.toLocaleString("en", { maximumFractionDigits: digits });
  return unit === "usd" ? `$${words}${suffix}` : `${words}${suffix}`;
}

/** A point of the x axis in words. Times are shown in UTC, as the agents count them. */
export function xLabel(chart: Chart, index: number): string {
  const value = chart.x.values[index] ?? "";
  if (chart.x.type !== "time") return value;
  return new Date(value).toLocaleString("en-GB", {
    timeZone: "UTC",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
}
