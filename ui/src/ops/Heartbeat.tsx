/** Signs of life: how long ago an execution was last heard of, now and in the last minute. */
import { useEffect, useRef, useState } from "react";
import { duration, plural } from "../core/format.ts";
import { Chip, type Tone } from "./parts.tsx";
import type { Live } from "./state.ts";

const BEAT_SECONDS = 5;
const beatTone = (age: number): Tone => (age > 5 * BEAT_SECONDS ? "bad" : age > 2 * BEAT_SECONDS ? "warn" : "good");

/** How long ago a running execution was last heard of. */
export function Heartbeat({ age }: { readonly age: number | null }) {
  if (age === null) return <span className="quiet">–</span>;
  return (
    <Chip tone={beatTone(age)}>
      {age > 5 * BEAT_SECONDS ? `silent for ${duration(age * 1000)}` : `${age.toFixed(0)} s`}
    </Chip>
  );
}

const STRIP = 60;
/** Ages of the heartbeat in the last minute, as this page has seen them: a bar a second, higher the longer it was silent. */
export function HeartbeatStrip({ live, age }: { readonly live: Live; readonly age: number | null }) {
  const [ages, setAges] = useState<ReadonlyArray<number>>([]);
  const at = live.picture?.at;
  const newest = useRef(age);
  newest.current = age;
  useEffect(() => {
    const seen = newest.current;
    if (at !== undefined && seen !== null) setAges((before) => [...before.slice(1 - STRIP), seen]);
  }, [at]);
  if (ages.length < 2) return null;
  const worst = Math.max(...ages);
  return (
    <figure className="beats">
      <figcaption className="quiet">
        Heartbeat in the last {plural(ages.length, "second")}: silent for {duration(worst * 1000)} at most
      </figcaption>
      <svg viewBox={`0 0 ${STRIP * 10} 30`} preserveAspectRatio="none" aria-hidden="true">
        {ages.map((each, index) => {
          const height = Math.max(3, Math.min(1, each / (5 * BEAT_SECONDS)) * 30);
          return (
            <rect
              key={index}
              data-tone={beatTone(each)}
              x={(STRIP - ages.length + index) * 10 + 1}
              width="8"
              y={30 - height}
              height={height}
            />
          );
        })}
      </svg>
    </figure>
  );
}
