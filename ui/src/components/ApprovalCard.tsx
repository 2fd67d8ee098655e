/** A question of a run to its user: what it asks, what may be filled in, until when, and the two answers. */
import { useEffect, useId, useState } from "react";
import { duration, humanise } from "../core/format.ts";
import type { ApprovalStep } from "../core/thread.ts";
import { useAgentTitle, useApp } from "./app.ts";
import { Button } from "./controls.tsx";
import { HandIcon } from "./icons.tsx";
import { useNow } from "./Ticker.ts";

const ANSWER_MS = 10_000;

type Property = {
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly type: "string" | "number" | "boolean";
  readonly options: ReadonlyArray<string> | null;
  readonly initial: string;
  readonly required: boolean;
};

/** The fields of a JSON Schema object of plain values; anything deeper is left to programs. */
function properties(schema: ApprovalStep["schema"]): ReadonlyArray<Property> {
  const raw = schema?.properties;
  if (typeof raw !== "object" || raw === null) return [];
  const required = Array.isArray(schema?.required) ? schema.required : [];
  return Object.entries(raw as Record<string, Record<string, unknown>>).flatMap(([name, each]) => {
    const type =
      each.type === "integer" || each.type === "number"
        ? "number"
        : each.type === "boolean"
          ? "boolean"
          : each.type === "string" || Array.isArray(each.enum)
            ? "string"
            : null;
    if (type === null) return [];
    return {
      name,
      title: typeof each.title === "string" ? each.title : humanise(name),
      hint: typeof each.description === "string" ? each.description : "",
      type,
      options: Array.isArray(each.enum) ? each.enum.map(String) : null,
      initial: each.default === undefined || each.default === null ? "" : String(each.default),
      required: required.includes(name),
    } satisfies Property;
  });
}

function payloadOf(fields: ReadonlyArray<Property>, form: FormData): Record<string, unknown> | undefined {
  if (fields.length === 0) return undefined;
  const out: Record<string, unknown> = {};
  for (const field of fields) {
    const value = form.get(field.name);
    if (field.type === "boolean") out[field.name] = value !== null;
    else if (typeof value === "string" && value !== "")
      out[field.name] = field.type === "number" ? Number(value) : value;
  }
  return out;
}

export function ApprovalCard({ step, offset }: { readonly step: ApprovalStep; readonly offset: number }) {
  const { client } = useApp();
  const title = useAgentTitle(step.agent);
  const [sent, setSent] = useState<string | null>(null);
  // The resolution comes back as an event; without one, the answer may be given again.
  useEffect(() => {
    if (sent === null) return;
    const timer = setTimeout(() => setSent(null), ANSWER_MS);
    return () => clearTimeout(timer);
  }, [sent]);
  const left = step.expiresAt - (useNow(true) + offset);
  const id = useId();
  const fields = properties(step.schema);
  const answer = (decision: string, payload?: Record<string, unknown>): void => {
    if (client.resolve(step.id, decision, payload)) setSent(decision);
    else client.notify("Not connected. Answer again when the connection is back.");
  };
  return (
    <form
      className="approval"
      aria-labelledby={id}
      onSubmit={(event) => {
        event.preventDefault();
        answer("approved", payloadOf(fields, new FormData(event.currentTarget)));
      }}
    >
      <div className="approval-head">
        <HandIcon />
        <h2 id={id}>{title} asks for your approval</h2>
        {Number.isFinite(left) && (
          <span className="time">{left > 0 ? `${duration(Math.floor(left / 1000) * 1000)} left` : "expired"}</span>
        )}
      </div>
      <p className="approval-prompt">{step.prompt}</p>
      {fields.map((field) => (
        <div key={field.name} className={field.type === "boolean" ? "field field-check" : "field"}>
          <label htmlFor={`${id}-${field.name}`}>{field.title}</label>
          {field.options ? (
            <select id={`${id}-${field.name}`} name={field.name} defaultValue={field.initial}>
              {field.options.map((option) => (
                <option key={option}>{option}</option>
              ))}
            </select>
          ) : (
            <input
              id={`${id}-${field.name}`}
              name={field.name}
              type={field.type === "boolean" ? "checkbox" : field.type === "number" ? "number" : "text"}
              step="any"
              required={field.required && field.type !== "boolean"}
              defaultValue={field.type === "boolean" ? undefined : field.initial}
              defaultChecked={field.initial === "true"}
            />
          )}
          {field.hint && <p className="field-hint">{field.hint}</p>}
        </div>
      ))}
      <div className="approval-actions">
        <Button type="submit" kind="primary" disabled={sent !== null} busy={sent === "approved"}>
          Approve
        </Button>
        <Button disabled={sent !== null} busy={sent === "denied"} onClick={() => answer("denied")}>
          Deny
        </Button>
        <span className="approval-note">Without an answer: {step.fallback}.</span>
      </div>
    </form>
  );
}
