/**
 * Draws series over time with uPlot, for the dashboard: one cursor for all plots, new data without building again.
 * Colours come from the page's tokens, so the caller mounts again when the theme changes.
 */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface TimeData {
  /** Seconds since 1970, ascending. */
  readonly times: ReadonlyArray<number>;
  readonly series: ReadonlyArray<ReadonlyArray<number | null>>;
}

export interface TimePlot {
  update(data: TimeData): void;
  destroy(): void;
}

const FONT = '11px "Inter", -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
const SYNC = uPlot.sync("ops");

const aligned = (data: TimeData): uPlot.AlignedData =>
  [[...data.times], ...data.series.map((each) => [...each])] as uPlot.AlignedData;

/** Days when the picture is of several, hours and minutes otherwise. */
function timeLabel(time: number, span: number): string {
  const date = new Date(time * 1000);
  if (span > 2 * 86_400) return date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** The points no line leads to: without a mark they would not be seen. */
function alone(u: uPlot, series: number): number[] | null {
  const values = u.data[series] ?? [];
  const found: number[] = [];
  for (let at = 0; at < values.length; at++)
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  return found;
}

/** Steps between the lines of an axis: powers of two, so that bytes are round, or whole numbers; null leaves it to uPlot. */
const STEPS = {
  bytes: Array.from({ length: 40 }, (_, power) => 2 ** power),
  "": Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((each) => each * 10 ** power)).flat(),
  s: null,
} as const;

/** `onCursor` gets the index of the time under the pointer, or null. */
export function timePlot(
  host: HTMLElement,
  data: TimeData,
  height: number,
  unit: keyof typeof STEPS,
  label: (value: number) => string,
  onCursor: (index: number | null) => void,
): TimePlot {
  const tokens = getComputedStyle(host);
  const token = (name: string): string => tokens.getPropertyValue(name).trim();
  const axis = {
    stroke: token("--text-3"),
    font: FONT,
    grid: { stroke: token("--line"), width: 1 },
    ticks: { show: false },
  };
  const plot = new uPlot(
    {
      width: host.clientWidth || 400,
      height,
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false }, sync: { key: SYNC.key } },
      scales: { y: { range: (_u, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.1] } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 24,
          gap: 5,
          values: (u, at) => at.map((time) => timeLabel(time, (u.scales.x?.max ?? 0) - (u.scales.x?.min ?? 0))),
        },
        {
          ...axis,
          ...(STEPS[unit] === null ? {} : { incrs: [...STEPS[unit]] }),
          size: 56,
          gap: 4,
          values: (_u, at) => at.map(label),
        },
      ],
      series: [
        {},
        ...data.series.map((_, index) => ({
          stroke: token(`--series-${(index % 8) + 1}`),
          width: 1.75,
          points: { size: 5, filter: alone },
          spanGaps: false,
        })),
      ],
      hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
    },
    aligned(data),
    host,
  );
  const observer = new ResizeObserver(
    () => host.clientWidth > 0 && host.clientWidth !== plot.width && plot.setSize({ width: host.clientWidth, height }),
  );
  observer.observe(host);
  return {
    update: (next) => plot.setData(aligned(next)),
    destroy() {
      observer.disconnect();
      plot.destroy();
    },
  };
}
