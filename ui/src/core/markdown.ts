/**
 * Markdown to HTML text, the first of two layers against hostile content: raw HTML is text, images are links, links have
 * few schemes, styles are classes. `fragment.ts` is the second layer and the only place that makes elements of this text.
 */
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import MarkdownIt from "markdown-it";

const LANGUAGES = {
  bash,
  cpp,
  css,
  diff,
  dockerfile,
  go,
  ini,
  java,
  javascript,
  json,
  markdown,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(["sh", "shell", "console"], { languageName: "bash" });

export const parser = new MarkdownIt({ html: false, linkify: true });
const escape = parser.utils.escapeHtml;

// A link may leave the page, never run anything in it. `//host` would inherit the scheme, so it is refused as well.
parser.validateLink = (url) => /^(?:https?:|mailto:|#)/i.test(url.trim());

// A picture in an answer tells its server who reads it. The link is shown instead and nothing is fetched.
parser.renderer.rules.image = (tokens, index) => {
  const token = tokens[index];
  const source = String(token?.attrGet("src") ?? "");
  const label = token?.content || source;
  return `<a href="${escape(source)}">${escape(label)}</a>`;
};

// markdown-it aligns cells with style attributes, which the Content-Security-Policy refuses: classes instead.
for (const rule of ["th_open", "td_open"]) {
  parser.renderer.rules[rule] = (tokens, index, options, _env, self) => {
    const token = tokens[index];
    const style = token?.attrGet("style");
    if (token && style) {
      token.attrs = token.attrs?.filter(([name]) => name !== "style") ?? null;
      token.attrJoin("class", `align-${String(style).split(":")[1]}`);
    }
    return self.renderToken(tokens, index, options);
  };
}

// A wide table scrolls by itself, not with the page. A group, not a region: a long answer would be full of landmarks.
parser.renderer.rules.table_open = () =>
  '<div class="table-scroll" role="group" aria-label="Table" tabindex="0"><table>\n';
parser.renderer.rules.table_close = () => "</table></div>\n";

parser.renderer.rules.fence = (tokens, index) => {
  const token = tokens[index];
  const language = (token?.info.trim().split(/\s+/)[0] ?? "").toLowerCase();
  const content = token?.content ?? "";
  if (language === "chart") return `<div class="chart-slot" data-chart="${escape(content.trim())}"></div>\n`;
  return codeBlock(content, language);
};
parser.renderer.rules.code_block = (tokens, index) => codeBlock(tokens[index]?.content ?? "", "");

function codeBlock(content: string, language: string): string {
  const known = language !== "" && hljs.getLanguage(language) !== undefined;
  const code = known ? hljs.highlight(content, { language, ignoreIllegals: true }).value : escape(content);
  const label = language === "" ? "text" : language;
  return (
    `<div class="code"><div class="code-bar"><span class="code-language">${escape(label)}</span>` +
    '<button type="button" class="code-button" data-action="wrap" aria-pressed="false">Wrap</button>' +
    '<button type="button" class="code-button" data-action="copy">Copy</button></div>' +
    `<pre tabindex="0" role="group" aria-label="${escape(label)} code"><code>${code}</code></pre></div>\n`
  );
}

/** The HTML of a Markdown text. Not safe by itself to put into a page: see `fragment.ts`. */
export const toHtml = (source: string): string => parser.render(source);
