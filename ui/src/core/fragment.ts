/** The only place where text becomes elements: DOMPurify with an allow-list, under its own Trusted Types policy. */
import DOMPurify from "dompurify";
import { toHtml } from "./markdown.ts";

/** Attributes that hold no address: without this, DOMPurify holds their values to the rule for addresses. */
const PLAIN = [
  "class",
  "start",
  "title",
  "role",
  "tabindex",
  "type",
  "aria-label",
  "aria-pressed",
  "data-chart",
  "data-action",
];

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."p br hr h1 h2 h3 h4 h5 h6 ul ol li pre code span em strong s del a blockquote".split(" "),
    ..."table thead tbody tr th td div button".split(" "),
  ],
  ALLOWED_ATTR: ["href", ...PLAIN],
  ADD_URI_SAFE_ATTR: PLAIN,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

export const toFragment = (source: string): DocumentFragment =>
  DOMPurify.sanitize(toHtml(source), ALLOWED) as unknown as DocumentFragment;
