/** What a person has chosen on this device. Kept in localStorage; `theme.js` reads the same key before the first paint. */
export interface Settings {
  readonly theme: "system" | "light" | "dark";
  readonly density: "comfortable" | "compact";
  /** Read finished answers out to screen readers, not only that they are there. */
  readonly announceAnswers: boolean;
  /** Shortcuts of a single key (WCAG 2.1.4 asks for a way to turn them off). */
  readonly singleKeys: boolean;
}

const KEY = "netra.settings";
const DEFAULTS: Settings = { theme: "system", density: "comfortable", announceAnswers: false, singleKeys: true };

let current: Settings = load();
const listeners = new Set<() => void>();

function load(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings = {
  get: (): Settings => current,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  set(change: Partial<Settings>): void {
    current = { ...current, ...change };
    try {
      localStorage.setItem(KEY, JSON.stringify(current));
    } catch {
      // Storage may be closed to us; the choice then lasts as long as the page.
    }
    const root = document.documentElement.dataset;
    if (current.theme === "system") delete root.theme;
    else root.theme = current.theme;
    if (current.density === "compact") root.density = "compact";
    else delete root.density;
    for (const listener of listeners) listener();
  },
};
