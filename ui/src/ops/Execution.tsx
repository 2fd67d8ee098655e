/** One execution: its facts, its signs of life, its latest steps, and what happened in it. */
import { useEffect } from "react";
import { humanise } from "../core/format.ts";
import { ops, type Execution } from "../core/ops.ts";
import type { LiveExecution } from "../core/protocol.gen.ts";
import { chatPath, opsPath, router } from "../core/route.ts";
import { useApp } from "../components/app.ts";
import { CopyButton, IconButton } from "../components/controls.tsx";
import { BackIcon } from "../components/icons.tsx";
import { Heartbeat, HeartbeatStrip } from "./Heartbeat.tsx";
import { Asking, Facts, Link, Loaded, Moment, Panel, ShortId, StateChip, type Fact } from "./parts.tsx";
import { usePolled, within, type Live } from "./state.ts";
import { Waterfall } from "./Waterfall.tsx";

export function ExecutionPage({ id, live }: { readonly id: string; readonly live: Live }) {
  const app = useApp();
  const now = live.picture?.executions.find((each) => each.id === id);
  const polled = usePolled(() => ops.execution(id), `execution ${id}`, 3000);
  const events = usePolled(() => ops.runEvents(id), `events ${id}`, polled.data?.ended_at === null ? 3000 : null);
  const over = polled.data?.ended_at ?? null;
  const { reload } = events;
  useEffect(() => {
    if (over !== null) reload();
  }, [over, reload]);
  return (
    <Panel
      title="Execution"
      words={<code>{id}</code>}
      back={
        <IconButton label="Back to executions" onClick={() => router.go(within("executions", null, true))}>
          <BackIcon />
        </IconButton>
      }
      actions={<>{polled.data !== null && over === null && <StopButton id={id} />}</>}
    >
      <Loaded polled={polled}>
        {(data) => (
          <>
            <Facts of={facts(data, now, data.user_id === app.user.id)} />
            {over === null && <HeartbeatStrip live={live} age={now?.heartbeat_age_seconds ?? null} />}
            {data.steps.length > 0 && <h3>Latest steps</h3>}
            {data.steps.length > 0 && (
              <ol className="phases">
                {data.steps.map((step, index) => (
                  <li key={`${step.at}-${index}`}>
                    <span className="figure quiet">
                      <Moment at={step.at} />
                    </span>{" "}
                    {humanise(step.phase)} {step.note && <span className="quiet">{step.note}</span>}
                  </li>
                ))}
              </ol>
            )}
          </>
        )}
      </Loaded>
      <h3>Timeline</h3>
      <Loaded polled={events} empty={(data) => (data.items.length === 0 ? "Nothing has happened yet." : null)}>
        {(data) => <Waterfall events={data.items} until={over === null ? Date.now() : Date.parse(over)} />}
      </Loaded>
    </Panel>
  );
}

/** What is known of an execution; `now` is what the server pushes of it while this process works on it. */
function facts(data: Execution, now: LiveExecution | undefined, mine: boolean): ReadonlyArray<Fact> {
  const over = data.ended_at !== null;
  return [
    ["State", <StateChip state={now?.paused && !over ? "waits for a person" : data.status} />],
    ["Agent", humanise(data.agent)],
    [
      "User",
      <>
        <Link to={opsPath("users", data.user_id)}>
          <ShortId id={data.user_id} />
        </Link>{" "}
        <CopyButton text={() => data.user_id} />
      </>,
    ],
    ["Created", <Moment at={data.created_at} />],
    ["Started", <Moment at={data.started_at} none="not yet" />],
    ["Ended", <Moment at={data.ended_at} none="not yet" />],
    ["Attempt", data.attempt],
    ["Heartbeat", <Heartbeat age={over ? null : (now?.heartbeat_age_seconds ?? data.heartbeat_age_seconds)} />],
    ["Worker", data.worker === null ? "–" : <ShortId id={data.worker} />],
    [
      "Thread",
      mine ? (
        <Link to={chatPath(data.thread_id)}>Open the conversation</Link>
      ) : (
        <>
          <ShortId id={data.thread_id} /> <span className="quiet">its user's alone</span>
        </>
      ),
    ],
    ...(data.error === null ? [] : [["Error", data.error] as const]),
  ];
}

/** Asks first; the run ends as cancelled a moment later. `about` tells several of these apart. */
export function StopButton({ id, about }: { readonly id: string; readonly about?: string }) {
  const app = useApp();
  return (
    <Asking
      label="Stop"
      {...(about === undefined ? {} : { about })}
      title="Stop this execution?"
      words="Its user sees that it was cancelled. What it has written so far stays."
      confirm="Stop it"
      run={() => ops.stopExecution(id)}
      onDone={() => app.toast({ text: "The execution was asked to stop." })}
    />
  );
}
