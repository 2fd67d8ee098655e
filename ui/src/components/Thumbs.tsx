/** Whether an answer was good: a thumb, and room for a few words once it is given. */
import { useId, useState, useSyncExternalStore } from "react";
import { feedback, type Thumb } from "../core/feedback.ts";
import { useApp } from "./app.ts";
import { Button } from "./controls.tsx";
import { ThumbDownIcon, ThumbUpIcon } from "./icons.tsx";

const MOST_CHARS = 4000;

/** Two buttons for the foot of an answer. `onGiven` opens the room for words; null closes it. */
export function Thumbs({
  runId,
  onGiven,
}: {
  readonly runId: string;
  readonly onGiven: (rating: Thumb | null) => void;
}) {
  const app = useApp();
  const rating = useSyncExternalStore(feedback.subscribe, feedback.get).get(runId)?.rating ?? null;
  const press = (thumb: Thumb): void => {
    if (rating === thumb) {
      onGiven(null);
      feedback.takeBack(runId).catch(app.failed);
      return;
    }
    onGiven(thumb);
    feedback.give(runId, thumb, "").catch((error: unknown) => {
      onGiven(null);
      app.failed(error);
    });
  };
  return (
    <span className="thumbs" role="group" aria-label="Feedback">
      <button
        type="button"
        className="quiet-button"
        aria-pressed={rating === 1}
        aria-label="Good answer"
        title="Good answer"
        onClick={() => press(1)}
      >
        <ThumbUpIcon size={14} />
      </button>
      <button
        type="button"
        className="quiet-button"
        aria-pressed={rating === -1}
        aria-label="Bad answer"
        title="Bad answer"
        onClick={() => press(-1)}
      >
        <ThumbDownIcon size={14} />
      </button>
    </span>
  );
}

/** Room for words, under the foot. The thumb counts without them. */
export function FeedbackForm({
  runId,
  rating,
  onClose,
}: {
  readonly runId: string;
  readonly rating: Thumb;
  readonly onClose: () => void;
}) {
  const app = useApp();
  const id = useId();
  const [busy, setBusy] = useState(false);
  const send = async (text: string): Promise<void> => {
    if (text === "") return onClose();
    setBusy(true);
    try {
      await feedback.give(runId, rating, text);
      app.toast({ text: "Thank you, your feedback is stored" });
      onClose();
    } catch (error) {
      setBusy(false);
      app.failed(error);
    }
  };
  return (
    <form
      className="feedback"
      onSubmit={(event) => {
        event.preventDefault();
        void send(String(new FormData(event.currentTarget).get("text") ?? "").trim());
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
    >
      <div className="field">
        <label htmlFor={id}>{rating === 1 ? "What was good about it?" : "What was wrong with it?"}</label>
        <textarea
          className="input"
          id={id}
          name="text"
          rows={2}
          maxLength={MOST_CHARS}
          placeholder="Optional"
          autoFocus
        />
      </div>
      <div className="feedback-actions">
        <Button type="submit" kind="primary" busy={busy}>
          Send
        </Button>
        <Button kind="ghost" onClick={onClose}>
          No comment
        </Button>
        <span className="feedback-note">Administrators see how answers are rated and these words.</span>
      </div>
    </form>
  );
}
