/** Tells an administrator, on every screen, of a critical alert that begins while the page is open. Shows nothing itself. */
import { useEffect, useRef } from "react";
import { ops } from "../core/ops.ts";
import { opsPath, router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { usePolled } from "./state.ts";

/** As often as the server reads its rules. */
const EVERY_MS = 10_000;
const TOAST_MS = 20_000;

export default function Watch() {
  const app = useApp();
  const { data } = usePolled(ops.openAlerts, "watch", EVERY_MS);
  const known = useRef<Set<string> | null>(null);
  useEffect(() => {
    if (data === null) return;
    const critical = data.open.filter((each) => each.severity === "critical");
    // What was open when the page was opened is no news.
    const fresh =
      known.current === null
        ? []
        : critical.filter((each) => !known.current?.has(each.id) && each.acknowledged_at === null);
    known.current = new Set([...(known.current ?? []), ...critical.map((each) => each.id)]);
    for (const each of fresh)
      app.toast({
        text: `Critical: ${each.summary}`,
        ms: TOAST_MS,
        action: { label: "Look", run: () => router.go(opsPath("alerts")) },
      });
  }, [data, app]);
  return null;
}
