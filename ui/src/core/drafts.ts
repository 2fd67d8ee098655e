/** What a person has written and not sent, for each thread, for as long as the tab lives. */
import type { Attachment } from "./protocol.gen.ts";

export interface Draft {
  readonly text: string;
  readonly files: ReadonlyArray<Attachment>;
}

const NOTHING: Draft = { text: "", files: [] };
const key = (thread: string | null): string => `netra.draft.${thread ?? "new"}`;

export function loadDraft(thread: string | null): Draft {
  try {
    return (JSON.parse(sessionStorage.getItem(key(thread)) ?? "null") as Draft | null) ?? NOTHING;
  } catch {
    return NOTHING;
  }
}

export function saveDraft(thread: string | null, draft: Draft): void {
  try {
    if (draft.text === "" && draft.files.length === 0) sessionStorage.removeItem(key(thread));
    else sessionStorage.setItem(key(thread), JSON.stringify(draft));
  } catch {
    // Without storage a draft lives as long as the composer.
  }
}

/** The first message made a thread: what was typed since belongs to it. */
export function adoptDraft(thread: string): void {
  saveDraft(thread, loadDraft(null));
  saveDraft(null, NOTHING);
}
