// How often each token was generated: the state of penalties.
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import type { SamplerStage } from "./spec.ts";

/**
 * A stage that takes something off the logit of each token that was generated; tokens of the prompt do not count.
 * @param penalty what is taken off a token that came `count` times, at least once
 */
export function countingStage(penalty: (count: number) => number): SamplerStage {
  let counts = new Map<number, number>();
  return {
    apply(candidates) {
      for (const [id, count] of counts) candidates.setLogit(id, candidates.logit(id) - penalty(count));
    },
    accept(id) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    },
    save: () => [...counts],
    load(state) {
      counts = new Map(readCounts(state));
    },
  };
}

function readCounts(state: unknown): readonly (readonly [number, number])[] {
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(isCount);
  if (Array.isArray(state) && state.every(isPair)) return state;
  throw new UsageError(
    `Cannot continue to sample: Expected ids and how often each came, got ${describeValue(state)}`,
  );
}
