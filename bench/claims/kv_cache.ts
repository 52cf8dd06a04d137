// Claims: a token with a KV cache against computing the whole text again, and sliding windows against full attention.
import type { Engine } from "../../src/engine/engine.ts";
import { llama } from "../../src/model/arch/families/llama.ts";
import type { Architecture } from "../../src/model/arch/spec.ts";
import { embeddedModel, someIds } from "../models.ts";
import { lineChart } from "./chart.ts";
import type { Bench, Claim, Section } from "./claim.ts";
import { decoder, openEngine, type Shape, sequenceAt, shapeModel } from "./models.ts";
import { bytes, duration, number, ratio, times } from "./words.ts";

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

const WINDOW = 512;
// Of so many layers one sees all positions.
const PERIOD = 6;
const lengths = [512, 2048, 8192];

// Gemma-3-1B's attention and feed-forward block, in one period of layers.
const gemma: Shape = {
  dim: 1024,
  hiddenDim: 6912,
  nLayers: PERIOD,
  nHeads: 4,
  nKvHeads: 1,
  vocabSize: 512,
  contextLength: 8192,
};

const windowed: Architecture = {
  ...llama,
  layer: (i, hyper) => {
    const spec = llama.layer(i, hyper);
    const isFull = i % PERIOD === PERIOD - 1;
    return isFull ? spec : { ...spec, attention: { ...spec.attention, window: WINDOW } };
  },
};

interface LengthRow {
  readonly length: number;
  readonly fullNs: number;
  readonly windowsNs: number;
  readonly fullBytes: number;
  readonly windowsBytes: number;
}

// Keys and values that a sequence holds when it has so many positions.
function heldBytes(engine: Engine, length: number): number {
  const sequence = sequenceAt(engine, length);
  const held = sequence.tables.map(({ pages }, i) => pages.length * (engine.pool.classes[i]?.pageBytes ?? 0));
  sequence.free();
  return held.reduce((sum, one) => sum + one, 0);
}

async function measureWindows({ kernel, time }: Bench): Promise<readonly LengthRow[]> {
  const file = shapeModel(gemma);
  const options = { kernel, contextLength: gemma.contextLength };
  const engines = [
    await openEngine(file, options),
    await openEngine(file, { ...options, architectures: [windowed] }),
  ];
  const rows: LengthRow[] = [];
  for (const length of lengths) {
    const [fullBytes = 0, windowsBytes = 0] = engines.map((engine) => heldBytes(engine, length));
    const [fullNs = 0, windowsNs = 0] = await time(engines.map((engine) => decoder(engine, length - 1, 1)));
    rows.push({ length, fullNs, windowsNs, fullBytes, windowsBytes });
  }
  return rows;
}

function renderWindows(rows: readonly LengthRow[]): Section {
  const last = rows.at(-1) as LengthRow;
  const xs = rows.map(({ length }) => length);
  const chart = (title: string, full: readonly number[], some: readonly number[], format: typeof bytes) =>
    lineChart({
      title,
      xLabel: "positions",
      xs,
      series: [
        { name: "full attention", values: full },
        { name: "windows", values: some },
      ],
      format,
    });
  return {
    ratios: rows.map(({ length, fullNs, windowsNs, fullBytes, windowsBytes }) => ({
      what: `${length} positions: keys and values, and time of a token, full attention ÷ windows`,
      value: `${ratio(fullBytes / windowsBytes)} and ${ratio(fullNs / windowsNs)}`,
    })),
    tables: [
      {
        head: ["positions", "keys and values, full", "with windows", "a token, full", "with windows"],
        rows: rows.map(({ length, fullNs, windowsNs, fullBytes, windowsBytes }) => [
          String(length),
          bytes(fullBytes),
          bytes(windowsBytes),
          duration(fullNs),
          duration(windowsNs),
        ]),
      },
    ],
    charts: [
      chart(
        "Keys and values by length",
        rows.map(({ fullBytes }) => fullBytes),
        rows.map(({ windowsBytes }) => windowsBytes),
        bytes,
      ),
      chart(
        "Time of one token by length",
        rows.map(({ fullNs }) => fullNs),
        rows.map(({ windowsNs }) => windowsNs),
        duration,
      ),
    ],
    found:
      `At ${last.length} positions windows hold ${number(last.windowsBytes / last.fullBytes)} of full attention's keys ` +
      `and values, and a token takes ${number(last.windowsNs / last.fullNs)} of its time.`,
  };
}

/** Sliding windows in five of six layers, and in none. */
export const windows: Claim<readonly LengthRow[]> = {
  name: "windows",
  title: "Sliding windows",
  about:
    `${PERIOD} layers of Gemma-3-1B's shape in q8 decode at the end of a text. With windows, ${PERIOD - 1} of them see the ` +
    `last ${WINDOW} positions only. They hold these, and a few more for rollbacks.`,
  measure: measureWindows,
  render: renderWindows,
};
