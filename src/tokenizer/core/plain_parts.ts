// Parts of a text in which special tokens stay text.
import { UsageError } from "../../util/errors.ts";

/** Whether units [begin, end) of a text touch a part of {@link EncodeOptions.plain}. */
export function touches(parts: readonly number[], begin: number, end: number): boolean {
  let low = 0;
  let high = parts.length >> 1;
  // The first part that ends behind `begin`.
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((parts[2 * middle + 1] as number) <= begin) low = middle + 1;
    else high = middle;
  }
  return 2 * low < parts.length && (parts[2 * low] as number) < end;
}

/**
 * Whether a token that is no control token marks a turn all the same, by its text: files do not always say so.
 * In a plain part it stays text too, unlike `<think>` and `<table>`.
 */
export function marksTurn(text: string): boolean {
  return /^<[|｜]|[|｜]>$|^<(s|\/s|bos|eos|(start|end)_of_\w+)>$|^\[\/?(INST|SYSTEM_PROMPT)\]$/.test(text);
}

/** @throws UsageError for what are no pairs of offsets that ascend */
export function checkPlain(parts: unknown, length: number): void {
  if (parts === undefined) return;
  let last = 0;
  const isGood =
    Array.isArray(parts) &&
    parts.length % 2 === 0 &&
    parts.every((at: unknown) => {
      const ascends = typeof at === "number" && Number.isInteger(at) && at >= last && at <= length;
      if (ascends) last = at;
      return ascends;
    });
  if (isGood) return;
  throw new UsageError(`Cannot encode: Expected plain to be pairs of ascending offsets from 0 to ${length}`);
}
