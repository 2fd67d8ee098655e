/**
 * Splits a growing Markdown text into blocks that are finished and a tail that may still change, with the parser's own
 * idea of a block. Finished blocks are never parsed or drawn again, so the cost of an update depends on the tail alone.
 */
interface BlockToken {
  readonly level: number;
  readonly nesting: number;
  readonly map: [number, number] | null;
}

export interface BlockParser {
  parse(source: string, env: object): ReadonlyArray<BlockToken>;
}

/** A definition of a reference (`[id]: address`) has effect in every block, so it cannot be cut off from them. */
const REFERENCE = /^ {0,3}\[[^\]\n]+\]:/m;

export class Incremental {
  blocks: ReadonlyArray<string> = [];
  tail = "";
  #text = "";
  #parser: BlockParser;

  constructor(parser: BlockParser) {
    this.#parser = parser;
  }

  /** `text` is the whole answer so far. `finished`: no more will come, so the parts must equal one full rendering. */
  update(text: string, finished = false): void {
    if (finished && REFERENCE.test(text)) {
      this.blocks = [];
      this.tail = this.#text = text;
      return;
    }
    if (!text.startsWith(this.#text)) {
      this.blocks = [];
      this.tail = this.#text = "";
    }
    if (text.length === this.#text.length) return;
    this.tail += text.slice(this.#text.length);
    this.#text = text;
    const starts: number[] = [];
    for (const token of this.#parser.parse(this.tail, {})) {
      if (token.level === 0 && token.nesting >= 0 && token.map) starts.push(token.map[0]);
    }
    if (starts.length < 2) return;
    const lines = this.tail.split("\n");
    const finishedBlocks = starts
      .slice(0, -1)
      .map((start, index) => `${lines.slice(index === 0 ? 0 : start, starts[index + 1]).join("\n")}\n`);
    this.blocks = [...this.blocks, ...finishedBlocks];
    this.tail = lines.slice(starts.at(-1)).join("\n");
  }
}
