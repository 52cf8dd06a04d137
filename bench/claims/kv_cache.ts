// Claim: a token with a KV cache against computing the whole text again.
import { embeddedModel, someIds } from "../models.ts";
import { lineChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { openEngine } from "./models.ts";
import { duration, ratio, times } from "./words.ts";

const positions = [16, 64, 256, 500];

interface Row {
  readonly position: number;
  readonly cachedNs: number;
  readonly wholeNs: number;
}

async function measure({ kernel, time }: Bench): Promise<readonly Row[]> {
  const engine = await openEngine(embeddedModel, { kernel, precision: "q8" });
  const ids = someIds(engine.layout.contextLength, engine.layout.config.vocabSize);
  const rows: Row[] = [];
  for (const position of positions) {
    const sequence = engine.sequence();
    await engine.prefill(sequence, ids.slice(0, position), () => {});
    const segment = { sequence, ids, begin: position, end: position + 1, outputs: "last" } as const;
    const prefix = ids.slice(0, position + 1);
    const [cachedNs = 0, wholeNs = 0] = await time([
      async () => {
        await engine.step([segment], () => {});
        sequence.rollback(position);
      },
      async () => {
        const fresh = engine.sequence();
        await engine.prefill(fresh, prefix, () => {});
        fresh.free();
      },
    ]);
    sequence.free();
    rows.push({ position, cachedNs, wholeNs });
  }
  return rows;
}

function render(rows: readonly Row[]): Section {
  const first = rows[0] as Row;
  const last = rows.at(-1) as Row;
  const longer = ({ wholeNs, cachedNs }: Row) => wholeNs / cachedNs;
  return {
    ratios: rows.map((row) => ({
      what: `time of the token at position ${row.position}, without ÷ with`,
      value: ratio(longer(row)),
    })),
    tables: [
      {
        head: ["position", "without ÷ with", "with the cache", "without"],
        rows: rows.map((row) => [
          String(row.position),
          ratio(longer(row)),
          duration(row.cachedNs),
          duration(row.wholeNs),
        ]),
      },
    ],
    charts: [
      lineChart({
        title: "Time of one token by its position",
        xLabel: "position",
        xs: rows.map(({ position }) => position),
        series: [
          { name: "with the cache", values: rows.map(({ cachedNs }) => cachedNs) },
          { name: "without", values: rows.map(({ wholeNs }) => wholeNs) },
        ],
        format: duration,
      }),
    ],
    found:
      `Without the cache the token at position ${first.position} takes ${times(longer(first))} as long as with it, and ` +
      `the token at position ${last.position} ${times(longer(last))} as long. From the first of these positions to the ` +
      `other, the time of a token grows ${times(last.cachedNs / first.cachedNs)} with the cache and ` +
      `${times(last.wholeNs / first.wholeNs)} without it.`,
  };
}

/** The KV cache on and off. */
export const kvCache: Claim<readonly Row[]> = {
  name: "kv_cache",
  title: "KV cache",
  about:
    "The embedded model in q8 computes one token at a position. With the cache it reads the keys and values of the " +
    "past. Without the cache it computes the whole past again, at the speed of a prompt. Then the work of a token " +
    "grows with every token before it; with the cache it hardly does.",
  measure,
  render,
};
