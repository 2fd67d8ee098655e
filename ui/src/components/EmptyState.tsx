/** A new conversation: what the agent does, what one may ask, and data to try it with. */
import { useState } from "react";
import { sampleFile, type AgentInfo } from "../core/api.ts";
import { useApp } from "./app.ts";
import { Spinner } from "./controls.tsx";
import { FileIcon, Mark } from "./icons.tsx";

export function EmptyState({
  agent,
  onExample,
  onFiles,
}: {
  readonly agent: AgentInfo | null;
  readonly onExample: (text: string) => void;
  readonly onFiles: (files: ReadonlyArray<File>) => void;
}) {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  if (!agent) {
    return (
      <div className="empty">
        <Mark size={40} />
        <h2 className="empty-title">{app.agents === null ? "" : "No agent is registered"}</h2>
        {app.agents !== null && (
          <p className="empty-words">Start the server with an agent: netra serve my_module:agent</p>
        )}
      </div>
    );
  }
  const trySample = async (): Promise<void> => {
    setBusy(true);
    try {
      onFiles([await sampleFile(agent.name)]);
      if (agent.examples[0]) onExample(agent.examples[0]);
    } catch (error) {
      app.failed(error);
    }
    setBusy(false);
  };
  return (
    <div className="empty">
      <Mark size={40} />
      <h2 className="empty-title">{agent.title}</h2>
      <p className="empty-words">{agent.description}</p>
      {agent.examples.length > 0 && (
        <ul className="examples" aria-label="Examples">
          {agent.examples.slice(0, 4).map((example) => (
            <li key={example}>
              <button type="button" onClick={() => onExample(example)}>
                {example}
              </button>
            </li>
          ))}
        </ul>
      )}
      {(agent.sample || agent.accepts.length > 0) && (
        <p className="empty-hint">
          {agent.sample && (
            <button type="button" className="quiet-button" disabled={busy} onClick={() => void trySample()}>
              {busy ? <Spinner /> : <FileIcon size={14} />}
              Try with sample data
            </button>
          )}
          {agent.accepts.length > 0 && <span>Drop, paste or attach a file: {agent.accepts.join(", ")}</span>}
        </p>
      )}
    </div>
  );
}
