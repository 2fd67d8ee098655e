import assert from "node:assert/strict";
import { test } from "node:test";
import { Incremental } from "../src/core/incremental.ts";
import { parser, toHtml } from "../src/core/markdown.ts";

const HOSTILE = [
  "<script>window.pwn=1</script>",
  "<img src=x onerror=window.pwn=1>",
  "<svg onload=window.pwn=1>",
  "[a](javascript:window.pwn=1)",
  "[a](JaVaScRiPt:window.pwn=1)",
  "[a](javascript&#58;window.pwn=1)",
  "[a](&#x6A;avascript:window.pwn=1)",
  "[a]( \u0001javascript:window.pwn=1)",
  "<javascript:window.pwn=1>",
  "![x](https://evil.example/p.png)",
  "![x](javascript:window.pwn=1)",
  "![x][1]\n\n[1]: https://evil.example/p.png",
  "[a](data:text/html,<script>window.pwn=1</script>)",
  "[a](vbscript:x)",
  "[a](//evil.example/x)",
  "[a](/api/auth/logout)",
  "<a href='javascript:window.pwn=1'>x</a>",
  "<iframe srcdoc='<script>parent.pwn=1</script>'></iframe>",
  "```html\n<img src=x onerror=window.pwn=1>\n```",
  '```"><img src=x onerror=window.pwn=1>\ncode\n```',
  '```chart\n"><img src=x onerror=window.pwn=1>\n```',
  "`<img src=x onerror=window.pwn=1>`",
  "| a |\n|:-:|\n| <img src=x onerror=window.pwn=1> |",
  "[x]: javascript:window.pwn=1\n[x]",
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.pwn=1&gt;">',
  "<form action=javascript:window.pwn=1><button>x</button></form>",
  "<style>*{display:none}</style>",
  "<base href=//evil.example>",
  "<p style='position:fixed;inset:0'>x</p>",
  'http://evil.example/"onmouseover=window.pwn=1',
  "<details open ontoggle=window.pwn=1>",
  "<link rel=stylesheet href=//evil.example/x.css>",
];

const TAGS = new Set(
  "p br hr h1 h2 h3 h4 h5 h6 ul ol li pre code span em strong s a blockquote table thead tbody tr th td div button".split(
    " ",
  ),
);
const ATTRIBUTES = new Set(
  "class href title start type role tabindex aria-label aria-pressed data-action data-chart".split(" "),
);

/** Read the HTML as strictly as it is written: every `<` begins a known tag, every attribute is known and quoted. */
function inspect(html: string): void {
  for (const [whole, closing, tag, rest] of html.matchAll(/<(\/?)([^\s>]*)((?:[^>"]|"[^"]*")*)>?/g)) {
    assert.ok(tag && TAGS.has(tag), `unexpected tag in ${whole}`);
    if (closing) continue;
    let left = rest ?? "";
    for (;;) {
      const attribute = /^\s+([a-z-]+)="([^"]*)"/.exec(left);
      if (!attribute) break;
      assert.ok(ATTRIBUTES.has(attribute[1]!), `unexpected attribute in ${whole}`);
      if (attribute[1] === "href") assert.match(attribute[2]!, /^(https?:|mailto:|#)/i);
      left = left.slice(attribute[0].length);
    }
    assert.match(left, /^\s*\/?$/, `unexpected rest in ${whole}`);
  }
}

for (const payload of HOSTILE) test(`harmless: ${payload.split("\n")[0]}`, () => inspect(toHtml(payload)));

test("a picture becomes a link and is never fetched", () => {
  assert.equal(toHtml("![cat](https://example.com/cat.png)"), '<p><a href="https://example.com/cat.png">cat</a></p>\n');
});

test("aligned cells carry a class, not a style", () => {
  const html = toHtml("| a | b |\n|--:|:-:|\n| 1 | 2 |");
  assert.match(html, /class="align-right"/);
  assert.doesNotMatch(html, /style=/);
});

test("a table has a region of its own to scroll in", () => {
  assert.match(
    toHtml("| a |\n|---|\n| 1 |"),
    /^<div class="table-scroll" role="group" aria-label="Table" tabindex="0"><table>/,
  );
});

test("a chart fence is a place for the chart it names", () => {
  assert.equal(toHtml("```chart\nspend-by-hour\n```"), '<div class="chart-slot" data-chart="spend-by-hour"></div>\n');
});

const DOCUMENT = `# Report

Some *words* with \`code\` and a [link](https://example.com).

- one
- two

  still two
- three

1. first
2. second

| model | cost |
|---|--:|
| a | 1 |
| b | 2 |

\`\`\`python
def f():

    return "# not a heading"
\`\`\`

> quote
> goes on

Setext heading
--------------

    indented code

***

Last words.
`;

test("finished blocks and the tail together render as the whole text, wherever it was cut", () => {
  const whole = toHtml(DOCUMENT);
  for (const size of [1, 3, 17, 80]) {
    const splitter = new Incremental(parser);
    for (let end = 0; end <= DOCUMENT.length + size; end += size) {
      const text = DOCUMENT.slice(0, end);
      splitter.update(text);
      assert.equal([...splitter.blocks, splitter.tail].join(""), text);
    }
    assert.equal([...splitter.blocks, splitter.tail].map(toHtml).join(""), whole);
    assert.ok(splitter.blocks.length > 8);
  }
});

test("a finished block is never replaced", () => {
  const splitter = new Incremental(parser);
  let before: ReadonlyArray<string> = [];
  for (let end = 0; end <= DOCUMENT.length; end += 5) {
    splitter.update(DOCUMENT.slice(0, end));
    assert.deepEqual(splitter.blocks.slice(0, before.length), before);
    before = splitter.blocks;
  }
});

test("references across blocks are resolved when the answer is complete", () => {
  const text = "See [the docs][d].\n\nMore.\n\n[d]: https://example.com/docs\n";
  const splitter = new Incremental(parser);
  splitter.update(text.slice(0, 30));
  splitter.update(text, true);
  assert.equal([...splitter.blocks, splitter.tail].map(toHtml).join(""), toHtml(text));
});

test("an answer that starts again is drawn from the start", () => {
  const splitter = new Incremental(parser);
  splitter.update("First\n\nhalf an ans");
  splitter.update("Other");
  assert.deepEqual([splitter.blocks, splitter.tail], [[], "Other"]);
});

test("an update costs what the tail costs, not what the answer costs", () => {
  const splitter = new Incremental(parser);
  let parsed = 0;
  const counting = new Incremental({ parse: (source, env) => ((parsed += source.length), parser.parse(source, env)) });
  const text = "A paragraph of some words.\n\n".repeat(2000);
  splitter.update(text);
  for (let end = 0; end <= text.length; end += 280) counting.update(text.slice(0, end));
  assert.ok(parsed < text.length * 3, `${parsed} characters parsed for ${text.length}`);
});
