/** Figures and times in words, the same everywhere on the page. */

/** `ms` under a second, tenths under a minute, then minutes and seconds. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${(value / 1000).toFixed(1)} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(size < 10_240 ? 1 : 0)} KiB`;
  if (size < 1024 ** 3) return `${(size / 1024 ** 2).toFixed(1)} MiB`;
  return `${(size / 1024 ** 3).toFixed(1)} GiB`;
}

/** How long ago, in the shortest form that is still clear. */
export function ago(then: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 45) return "now";
  if (seconds < 3570) return `${Math.max(1, Math.round(seconds / 60))} min`;
  if (seconds < 84_600) return `${Math.round(seconds / 3600)} h`;
  if (seconds < 6.5 * 86_400) return `${Math.round(seconds / 86_400)} d`;
  return new Date(then).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** `sql_query` and `netra-optimizer` as people write them. */
export function humanise(name: string): string {
  const words = name.replace(/[_\-.]+/g, " ").trim();
  return words === "" ? name : words.charAt(0).toUpperCase() + words.slice(1);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const SECRET = /pass(word|wd)?|secret|token|api[_-]?key|authorization|cookie|credential/i;

/** A value on one line, for a row of the timeline. The server masks secrets; names that promise one are masked again here. */
export function oneLine(value: unknown, limit = 160): string {
  if (value === null || value === undefined) return "";
  let text: string;
  if (typeof value === "string") text = value;
  else if (Array.isArray(value)) text = value.length > 4 ? plural(value.length, "item") : JSON.stringify(value);
  else if (typeof value === "object") {
    text = Object.entries(value)
      .map(([key, each]) => `${key}: ${SECRET.test(key) ? "•••" : scalar(each)}`)
      .join(", ");
  } else text = String(value);
  text = text.replace(/\s+/g, " ");
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

function scalar(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value))
    return value.length > 3 || value.some((each) => typeof each === "object")
      ? plural(value.length, "item")
      : value.join(", ");
  if (value !== null && typeof value === "object") return "{…}";
  if (typeof value === "number")
    return Number.isInteger(value) ? value.toLocaleString("en") : String(Math.round(value * 1e4) / 1e4);
  return String(value);
}

/** Pretty JSON, cut at 20 kB with a note. */
export function pretty(value: unknown, limit = 20_000): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
  return text.length > limit ? `${text.slice(0, limit)}\n… ${bytes(text.length - limit)} more` : text;
}
