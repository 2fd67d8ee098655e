/** The address of each screen, and moving between them without loading the page again. */
export type Route =
  | { readonly screen: "login" | "register" | "setup" | "settings" | "unknown" }
  | { readonly screen: "chat"; readonly thread: string | null }
  | { readonly screen: "ops"; readonly panel: string; readonly id: string | null };

export function parse(path: string): Route {
  const parts = path.split("/").filter(Boolean);
  if (parts.length === 0) return { screen: "chat", thread: null };
  if (parts[0] === "chat" && parts.length <= 2)
    return { screen: "chat", thread: parts[1] === undefined ? null : decodeURIComponent(parts[1]) };
  if (parts[0] === "ops" && parts.length <= 3)
    return {
      screen: "ops",
      panel: parts[1] ?? "overview",
      id: parts[2] === undefined ? null : decodeURIComponent(parts[2]),
    };
  if (
    parts.length === 1 &&
    (parts[0] === "login" || parts[0] === "register" || parts[0] === "setup" || parts[0] === "settings")
  )
    return { screen: parts[0] };
  return { screen: "unknown" };
}

export const opsPath = (panel: string, id: string | null = null): string =>
  panel === "overview" ? "/ops" : `/ops/${panel}${id === null ? "" : `/${encodeURIComponent(id)}`}`;

export const chatPath = (thread: string | null): string =>
  thread === null ? "/chat" : `/chat/${encodeURIComponent(thread)}`;

const listeners = new Set<() => void>();
const changed = (): void => listeners.forEach((listener) => listener());

export const router = {
  path: (): string => location.pathname,
  search: (): string => location.search,
  subscribe(listener: () => void): () => void {
    if (listeners.size === 0) addEventListener("popstate", changed);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) removeEventListener("popstate", changed);
    };
  },
  go(path: string, options: { replace?: boolean } = {}): void {
    if (path === location.pathname + location.search && location.hash === "") return;
    history[options.replace ? "replaceState" : "pushState"](null, "", path);
    changed();
  },
};
