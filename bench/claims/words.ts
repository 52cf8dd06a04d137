// Numbers as the page writes them. Pure functions.
import { significant } from "../report.ts";

/** Three significant digits: "1230", "0.0456". */
export function number(x: number, digits = 3): string {
  return String(significant(x, digits));
}

/** "2.5 times"; also below one: "0.5 times". */
export function times(x: number): string {
  return `${number(x)} times`;
}

/** A ratio in a table: "2.50×", "31.6×". */
export function ratio(x: number): string {
  return `${x >= 10 ? number(x) : x.toFixed(2)}×`;
}

/** "12.3%". */
export function percent(x: number): string {
  return `${number(100 * x)}%`;
}

/** Nanoseconds as text, in ns, µs, ms or s. */
export function duration(ns: number): string {
  if (ns < 1e3) return `${number(ns)} ns`;
  if (ns < 1e6) return `${number(ns / 1e3)} µs`;
  return ns < 1e9 ? `${number(ns / 1e6)} ms` : `${number(ns / 1e9)} s`;
}

/** Bytes in powers of 1024. */
export function bytes(n: number): string {
  if (n < 1 << 10) return `${number(n)} B`;
  if (n < 1 << 20) return `${number(n / 2 ** 10)} KiB`;
  return n < 2 ** 30 ? `${number(n / 2 ** 20)} MiB` : `${number(n / 2 ** 30)} GiB`;
}

/** "1.2 to 3.4 times", or "1.2 times" if both ends round to the same text. */
export function timesRange(values: readonly number[]): string {
  const low = number(Math.min(...values));
  const high = number(Math.max(...values));
  return low === high ? `${low} times` : `${low} to ${high} times`;
}

/** Ratios that differ from 1 by less count as equal, because machines are at least this noisy. */
export const NOISE = 0.03;

/** One of three texts: for `x` below 1, equal to it within {@link NOISE}, and above it. */
export function against1(x: number, below: string, equal: string, above: string): string {
  if (x > 1 + NOISE) return above;
  return x < 1 - NOISE ? below : equal;
}

/** "a", "a and b", "a, b and c". */
export function list(items: readonly string[]): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} and ${last}`;
}
