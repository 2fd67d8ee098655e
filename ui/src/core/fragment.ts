/** The only place where text becomes elements: DOMPurify with an allow-list, under its own Trusted Types policy. */
import DOMPurify from "dompurify";
import { toHtml } from "./markdown.ts";

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."p br hr h1 h2 h3 h4 h5 h6 ul ol li pre code span em strong s del a blockquote".split(" "),
    ..."table thead tbody tr th td div button".split(" "),
  ],
  ALLOWED_ATTR: ["class", "href", "start", "title", "role", "tabindex", "type", "aria-label", "aria-pressed", "data-chart", "data-action"],
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

export const toFragment = (source: string): DocumentFragment => DOMPurify.sanitize(toHtml(source), ALLOWED) as unknown as DocumentFragment;
