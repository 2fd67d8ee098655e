/** What every screen can reach: the session, the client, the list of threads, and short messages to the user. */
import { createContext, useContext, useSyncExternalStore } from "react";
import type { Agents, Me } from "../core/api.ts";
import type { Client, ClientState } from "../core/client.ts";
import { humanise } from "../core/format.ts";
import type { User } from "../core/protocol.gen.ts";
import { settings, type Settings } from "../core/settings.ts";
import type { Threads, ThreadsState } from "../core/threads.ts";

export interface Toast {
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
  readonly ms?: number;
  /** Called when it goes away without the action. */
  readonly onGone?: () => void;
}

export interface App {
  readonly me: Me;
  readonly user: User;
  readonly client: Client;
  readonly threads: Threads;
  readonly agents: Agents | null;
  toast(toast: Toast): void;
  signOut(): Promise<void>;
  /** Show something that failed; an ended session opens the login dialog instead. */
  failed(error: unknown): void;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("useApp outside of the signed-in page");
  return app;
}

export const useClient = (client: Client): ClientState => useSyncExternalStore(client.subscribe, client.get);
export const useThreads = (threads: Threads): ThreadsState => useSyncExternalStore(threads.subscribe, threads.get);
export const useSettings = (): Settings => useSyncExternalStore(settings.subscribe, settings.get);

/** An agent's title; a sub-agent has only its name. */
export function useAgentTitle(name: string): string {
  return useApp().agents?.items.find((each) => each.name === name)?.title ?? humanise(name);
}
