/** An answer as it grows: finished blocks are drawn once, only the tail is drawn again. Charts are put where their fences stand. */
import { memo, useLayoutEffect, useMemo, useRef, useState, type MouseEvent } from "react";
import { createPortal } from "react-dom";
import type { Chart } from "../core/chart.ts";
import { toFragment } from "../core/fragment.ts";
import { Incremental } from "../core/incremental.ts";
import { parser } from "../core/markdown.ts";
import { ChartFigure } from "./ChartFigure.tsx";
import { copyText } from "./controls.tsx";

interface Slot {
  readonly host: HTMLElement;
  readonly chart: string;
}

const NO_SLOTS: ReadonlyArray<Slot> = [];

const Block = memo(function Block({
  text,
  charts,
  growing,
}: {
  readonly text: string;
  readonly charts: ReadonlyMap<string, Chart>;
  readonly growing: boolean;
}) {
  const host = useRef<HTMLDivElement>(null);
  const [slots, setSlots] = useState(NO_SLOTS);
  useLayoutEffect(() => {
    host.current?.replaceChildren(toFragment(text));
    const found = [...(host.current?.querySelectorAll<HTMLElement>(".chart-slot") ?? [])];
    setSlots(found.length === 0 ? NO_SLOTS : found.map((each) => ({ host: each, chart: each.dataset.chart ?? "" })));
  }, [text]);
  return (
    <>
      <div ref={host} className="block" />
      {slots.map((slot, index) =>
        createPortal(
          <ChartFigure chart={charts.get(slot.chart)} name={slot.chart} growing={growing} />,
          slot.host,
          String(index),
        ),
      )}
    </>
  );
});

function onClick(event: MouseEvent<HTMLDivElement>): void {
  const button =
    event.target instanceof Element ? event.target.closest<HTMLButtonElement>("button[data-action]") : null;
  const code = button?.closest(".code");
  if (!button || !code) return;
  if (button.dataset.action === "wrap") {
    const wrapped = code.classList.toggle("wrapped");
    button.setAttribute("aria-pressed", String(wrapped));
  } else {
    void copyText(code.querySelector("code")?.textContent ?? "").then((copied) => {
      button.textContent = copied ? "Copied" : "Not copied";
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
  }
}

export const Markdown = memo(function Markdown({
  text,
  charts,
  growing,
}: {
  readonly text: string;
  readonly charts: ReadonlyMap<string, Chart>;
  readonly growing: boolean;
}) {
  const splitter = useMemo(() => new Incremental(parser), []);
  splitter.update(text, !growing);
  const { blocks, tail } = splitter;
  return (
    <div className={growing ? "markdown growing" : "markdown"} onClick={onClick}>
      {blocks.map((block, index) => (
        <Block key={index} text={block} charts={charts} growing={growing} />
      ))}
      <Block key={blocks.length} text={tail} charts={charts} growing={growing} />
    </div>
  );
});
