/**
 * Draws a chart with uPlot. Loaded only when an answer has a chart. Lines are uPlot's own; bars are drawn here, because
 * grouped and stacked bars of any number share their geometry and uPlot knows only single ones. Colours come from the
 * page's tokens, so the caller mounts again when the theme changes.
 */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shortFigure, type Chart } from "./chart.ts";

export interface PlotPoint {
  readonly index: number;
  /** CSS pixels from the left edge of the host. */
  readonly left: number;
  /** The point is in the right half: show its words to the left. */
  readonly flip: boolean;
}

const FONT = '11px "Inter", -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
const LONGEST_LABEL = 22;
/** Share of a slot that its bars fill. */
const FILL = 0.72;
const WIDEST_BAR = 56;

/** Mount a chart into an empty element. Returns what takes it away. */
export function plot(
  host: HTMLElement,
  chart: Chart,
  height: number,
  onPoint: (point: PlotPoint | null) => void,
): () => void {
  const tokens = getComputedStyle(host);
  const token = (name: string): string => tokens.getPropertyValue(name).trim();
  const colours = chart.series.map((_, index) => token(`--series-${(index % 8) + 1}`));
  const bars = chart.kind !== "line";
  const stacked = chart.kind === "stacked_bar";
  // Bars stand on slots of equal width, also when the slots are hours; lines keep real time.
  const slots = bars || chart.x.type === "category";
  const xs = slots ? chart.x.values.map((_, index) => index) : chart.x.values.map((value) => Date.parse(value) / 1000);
  const labels = chart.x.values.map((value) =>
    chart.x.type === "time" ? timeLabel(value, chart.x.values) : clip(value),
  );
  const top = highest(chart, stacked);
  const bottom = Math.min(0, ...chart.series.flatMap((series) => series.values.map((value) => value ?? 0)));
  const grid = { stroke: token("--line"), width: 1 };
  const axis = { stroke: token("--text-3"), font: FONT, grid, ticks: { show: false } };
  const longest = Math.max(...labels.map((label) => label.length));

  const draw = (u: uPlot): void => {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const slot = Math.abs(u.valToPos(1, "x", true) - u.valToPos(0, "x", true));
    const count = stacked ? 1 : chart.series.length;
    const width = Math.max(1, Math.min((slot * FILL) / count, WIDEST_BAR * ratio));
    const gap = count > 1 && width > 4 * ratio ? ratio : 0;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    xs.forEach((x, index) => {
      const middle = u.valToPos(x, "x", true);
      let floor = 0;
      chart.series.forEach((series, at) => {
        const value = series.values[index] ?? 0;
        if (value === 0) return;
        const from = stacked ? floor : 0;
        floor += value;
        const left = middle + (stacked ? -width / 2 : (at - count / 2) * width) + gap / 2;
        const y0 = u.valToPos(from, "y", true);
        const y1 = u.valToPos(from + value, "y", true);
        const last = !stacked || chart.series.slice(at + 1).every((each) => !each.values[index]);
        const radius = last && y1 < y0 ? Math.min(3 * ratio, width / 3, y0 - y1) : 0;
        ctx.fillStyle = colours[at] ?? "";
        ctx.beginPath();
        ctx.roundRect(left, Math.min(y0, y1), width - gap, Math.max(ratio, Math.abs(y0 - y1)), [radius, radius, 0, 0]);
        ctx.fill();
      });
    });
    ctx.restore();
  };

  const build = (width: number): uPlot => {
    const room = Math.max(80, width - 72) / Math.max(1, xs.length);
    const turned = slots && chart.x.type === "category" && longest * 6.2 > room - 6;
    const needed = turned ? 18 : chart.x.type === "category" ? 0 : longest * 6.2 + 14;
    const every = Math.max(1, Math.ceil(needed / room));
    return new uPlot(
      {
        width,
        height,
        padding: [10, chart.x.type === "time" ? 30 : 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: !bars, size: 7 }, drag: { x: false, y: false } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        scales: {
          x: {
            time: !slots,
            range: slots
              ? [-0.5, xs.length - 0.5]
              : (_u, min, max) => (min === max ? [min - 3600, max + 3600] : [min, max]),
          },
          y: { range: () => [bottom * 1.05, top === 0 ? 1 : top * 1.06] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            label: chart.x.label,
            labelFont: FONT,
            labelSize: 20,
            labelGap: 2,
            gap: 6,
            size: turned ? Math.min(104, 16 + longest * 4) : 30,
            ...(turned ? { rotate: 40 } : {}),
            ...(slots
              ? {
                  splits: () => xs.filter((_, index) => index % every === 0),
                  values: (_u: uPlot, at: number[]) => at.map((index) => labels[index] ?? ""),
                }
              : {}),
          },
          {
            ...axis,
            size: 56,
            gap: 6,
            label: axisLabel(chart),
            labelFont: FONT,
            labelSize: 18,
            labelGap: 0,
            values: (_u, at) => at.map((value) => shortFigure(value, chart.y.unit)),
          },
        ],
        series: [
          {},
          ...chart.series.map((series, index) => ({
            label: series.name,
            stroke: colours[index] ?? "",
            width: 2,
            points: { show: xs.length < 3 },
            ...(bars ? { paths: () => null } : {}),
          })),
        ],
        hooks: {
          ...(bars ? { draw: [draw] } : {}),
          setCursor: [
            (u) => {
              const { idx, left } = u.cursor;
              if (idx == null || left == null || left < 0) return onPoint(null);
              const at = u.valToPos(xs[idx] ?? 0, "x") + u.bbox.left / devicePixelRatio;
              onPoint({ index: idx, left: at, flip: at > u.width / 2 });
            },
          ],
        },
      },
      [xs, ...chart.series.map((series) => [...series.values])] as uPlot.AlignedData,
      host,
    );
  };

  let current = build(host.clientWidth || 600);
  let known = host.clientWidth;
  const observer = new ResizeObserver(() => {
    if (host.clientWidth === known || host.clientWidth === 0) return;
    known = host.clientWidth;
    current.destroy();
    current = build(known);
  });
  observer.observe(host);
  return () => {
    observer.disconnect();
    current.destroy();
  };
}

function highest(chart: Chart, stacked: boolean): number {
  const sums = chart.x.values.map((_, index) => {
    const values = chart.series.map((series) => series.values[index] ?? 0);
    return stacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
  });
  return Math.max(0, ...sums);
}

function axisLabel(chart: Chart): string {
  const unit = chart.y.unit === "usd" ? "USD" : chart.y.unit === "count" ? "" : chart.y.unit;
  if (chart.y.label === "") return unit;
  return unit === "" || chart.y.label.toLowerCase().includes(unit.toLowerCase())
    ? chart.y.label
    : `${chart.y.label} (${unit})`;
}

const clip = (label: string): string =>
  label.length > LONGEST_LABEL ? `${label.slice(0, LONGEST_LABEL - 1)}…` : label;

/** Days when the points are days, hours when they lie within one day, both otherwise. In UTC. */
function timeLabel(value: string, all: ReadonlyArray<string>): string {
  const date = new Date(value);
  const first = new Date(all[0] ?? value);
  const days = new Set(all.map((each) => each.slice(0, 10))).size;
  const midnight = all.every((each) => new Date(each).getTime() % 86_400_000 === first.getTime() % 86_400_000);
  const day = date.toLocaleDateString("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
  const hour = date.toLocaleTimeString("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
  if (days > 1 && midnight) return day;
  return days === 1 ? hour : `${day} ${hour}`;
}
