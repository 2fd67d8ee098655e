/** How the connection is, in words; silent while all is well. */
import type { ClientState } from "../core/client.ts";
import { plural } from "../core/format.ts";
import { useApp } from "./app.ts";
import { CheckIcon, OfflineIcon } from "./icons.tsx";
import { Spinner } from "./controls.tsx";
import { useNow } from "./Ticker.ts";

export function ConnectionChip({ state }: { readonly state: ClientState }) {
  const { client } = useApp();
  const { connection } = state;
  const waiting = connection.phase === "waiting";
  const now = useNow(waiting);
  const seconds = connection.retryAt === null ? 0 : Math.max(0, Math.ceil((connection.retryAt - now) / 1000));
  let words: string | null = null;
  let tone: "good" | "warn" | "off" | "bad" = "warn";
  if (connection.phase === "offline") {
    words = "Offline";
    tone = "off";
  } else if (connection.phase === "refused") {
    words = "The server refuses this address";
    tone = "bad";
  } else if (connection.trouble === "restarting") words = "Server restarting";
  else if (connection.trouble === "too_many") words = "Too many connections";
  else if (waiting || (connection.phase === "connecting" && connection.attempt > 0))
    words = `Reconnecting, attempt ${connection.attempt}`;
  else if (state.caughtUp !== null) {
    words = state.caughtUp > 0 ? `Back, ${plural(state.caughtUp, "event")} caught up` : "Back";
    tone = "good";
  }
  return (
    <div className="connection" role="status" data-tone={tone}>
      {words !== null && (
        <span className="chip" data-tone={tone}>
          {tone === "good" ? (
            <CheckIcon size={14} />
          ) : tone === "off" || tone === "bad" ? (
            <OfflineIcon size={14} />
          ) : (
            <Spinner />
          )}
          {words}
          {(waiting || connection.phase === "refused") && (
            <button type="button" className="link-button" onClick={() => client.connect()}>
              {seconds > 1 ? `Now (${seconds} s)` : "Now"}
            </button>
          )}
        </span>
      )}
    </div>
  );
}
