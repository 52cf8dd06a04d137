// The time of a step, divided by kind of record.
import * as op from "../../assembly/layout/ops.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { median } from "../report.ts";
import { sequenceAt } from "./models.ts";

/** Records [begin, end) of a plan. Only the last of them has a barrier. */
export interface RecordRange {
  readonly kind: string;
  readonly begin: number;
  readonly end: number;
}

const names: Readonly<Record<number, string>> = {
  [op.OP_EMBED]: "embedding, angles",
  [op.OP_ANGLES]: "embedding, angles",
  [op.OP_NORM]: "norm",
  [op.OP_QUANTIZE]: "quantize",
  [op.OP_ROPE_STORE]: "rope, store",
  [op.OP_ATTENTION]: "attention",
  [op.OP_GLU]: "gated unit",
};

/** The kind of records that rotate q and k and store k and v. */
export const ROPE_KIND = "rope, store";
/** The kind of attention records. */
export const ATTENTION_KIND = "attention";

function word(words: Int32Array, record: number, field: number): number {
  return words[record * op.RECORD_WORDS + field] as number;
}

function kindOf(words: Int32Array, begin: number, end: number, before: string | undefined): string {
  const code = word(words, begin, op.REC_OP);
  if (code !== op.OP_MATMUL) return names[code] ?? `operation ${code}`;
  if (word(words, begin, op.REC_ROWS) === op.ROWS_OUTPUTS) return "logits";
  if (word(words, end - 1, op.MATMUL_ADD) !== 0) return before === "gated unit" ? "down" : "attention output";
  return end - begin === 2 ? "gate, up" : "q, k, v";
}

/** The ranges between a plan's barriers. Each is named after its work. */
export function recordRanges(words: Int32Array): RecordRange[] {
  const ranges: RecordRange[] = [];
  const records = words.length / op.RECORD_WORDS;
  for (let begin = 0, end = 1; end <= records; end++) {
    if (!(word(words, end - 1, op.REC_FLAGS) & op.REC_BARRIER)) continue;
    ranges.push({ kind: kindOf(words, begin, end, ranges.at(-1)?.kind), begin, end });
    begin = end;
  }
  return ranges;
}

/** Describes a step of one token at `position` to the engine. Returns a function that runs records [begin, end) of it. */
export async function stepAt(
  engine: Engine,
  position: number,
): Promise<(begin: number, end: number) => void> {
  const sequence = sequenceAt(engine, position);
  const ids = new Array<number>(position + 1).fill(1);
  await engine.step([{ sequence, ids, begin: position, end: position + 1, outputs: "last" }], () => {});
  const { exports } = engine.kernel;
  const { planAddress, scratches } = engine.layout;
  return (begin, end) => {
    const status = exports.run_step(planAddress, begin, end, scratches[0] as number);
    if (status !== 0) throw new Error(`a step ended with status ${status}`);
  };
}

/** Nanoseconds of each kind in a step. Kinds have the order of the plan. */
export type KindTimes = readonly { readonly kind: string; readonly ns: number }[];

// The time that the clock itself adds to a measurement.
function clockMs(): number {
  const reads = 1000;
  const begin = performance.now();
  for (let i = 0; i < reads; i++) performance.now();
  return (performance.now() - begin) / reads;
}

/** Runs the step `passes` times, range by range. Returns the median of each kind's sum, without the clock's own time. */
export function timeKinds(
  ranges: readonly RecordRange[],
  run: (begin: number, end: number) => void,
  passes: number,
): KindTimes {
  const kinds = [...new Set(ranges.map(({ kind }) => kind))];
  const sums = kinds.map(() => new Float64Array(passes));
  const clock = clockMs();
  for (let pass = 0; pass < passes; pass++) {
    for (const { kind, begin, end } of ranges) {
      const start = performance.now();
      run(begin, end);
      const ms = performance.now() - start - clock;
      const sum = sums[kinds.indexOf(kind)] as Float64Array;
      sum[pass] = (sum[pass] as number) + ms;
    }
  }
  return kinds.map((kind, i) => ({ kind, ns: 1e6 * Math.max(0, median([...(sums[i] as Float64Array)])) }));
}
