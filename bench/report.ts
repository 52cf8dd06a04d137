// What is made of times: rates, the share of the memory's speed, rounding, tables. Pure functions.

/** What one call does; rates are asked for by naming it. */
export interface Work {
  /** Bytes that the call must read from memory: weights, keys and values, or rows. */
  readonly bytes?: number;
  /** Multiplications with an addition. */
  readonly macs?: number;
  readonly elements?: number;
  readonly tokens?: number;
  /** UTF-8 bytes of text. */
  readonly textBytes?: number;
}

/** Rates of a call; only those whose work is known. */
export interface Rates {
  readonly tokensPerS?: number;
  readonly gbPerS?: number;
  /** Of the read bandwidth; 1 is all of it, more means that the bytes came from a cache. */
  readonly shareOfBandwidth?: number;
  readonly gmacPerS?: number;
  readonly elementsPerS?: number;
  readonly textMbPerS?: number;
}

/** Rounds to `digits` significant digits: what is beyond them is noise. */
export function significant(x: number, digits = 4): number {
  return Number.isFinite(x) ? Number(x.toPrecision(digits)) : 0;
}

/** Lower median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** How much of `ceiling` a rate is; 0 where there is no ceiling. */
export function share(rate: number, ceiling: number): number {
  return ceiling > 0 ? rate / ceiling : 0;
}

/** Rates of `work` done in `ns` nanoseconds, against a read bandwidth of `ceiling` GB/s. */
export function ratesOf(work: Work, ns: number, ceiling: number): Rates {
  const per = (amount: number, unit: number) => significant((amount * unit) / ns);
  const { bytes, macs, elements, tokens, textBytes } = work;
  return {
    ...(tokens === undefined ? {} : { tokensPerS: per(tokens, 1e9) }),
    ...(bytes === undefined
      ? {}
      : { gbPerS: per(bytes, 1), shareOfBandwidth: significant(share(bytes / ns, ceiling), 3) }),
    ...(macs === undefined ? {} : { gmacPerS: per(macs, 1) }),
    ...(elements === undefined ? {} : { elementsPerS: per(elements, 1e9) }),
    ...(textBytes === undefined ? {} : { textMbPerS: per(textBytes, 1e3) }),
  };
}

/** A value of a table or of a result file. */
export type Cell = string | number | undefined;

const titles: Readonly<Record<string, string>> = {
  medianUs: "median",
  minUs: "min",
  tokensPerS: "tok/s",
  gbPerS: "GB/s",
  shareOfBandwidth: "share",
  gmacPerS: "GMAC/s",
  sweepGbPerS: "sweep",
  elementsPerS: "Gelem/s",
  textMbPerS: "MB/s",
};

/** Microseconds, in the unit that reads best. */
export function duration(us: number): string {
  if (us < 1000) return `${significant(us, 3)} us`;
  return us < 1e6 ? `${significant(us / 1000, 3)} ms` : `${significant(us / 1e6, 3)} s`;
}

function text(column: string, value: Cell): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (column === "medianUs" || column === "minUs") return duration(value);
  if (column === "shareOfBandwidth") return `${Math.round(100 * value)}%`;
  if (column === "elementsPerS") return String(significant(value / 1e9, 3));
  return String(value);
}

/**
 * Rows as aligned text: a column for every key that any row has, in the order they appear. Text is flush left,
 * numbers flush right; a row that lacks a key leaves its cell empty.
 */
export function table(rows: readonly Readonly<Record<string, Cell>>[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => text(column, row[column])));
  const head = columns.map((column) => titles[column] ?? column);
  const left = columns.map((column) => rows.every((row) => typeof (row[column] ?? "") === "string"));
  const widths = columns.map((_, i) => Math.max(...[head, ...cells].map((line) => line[i]?.length ?? 0)));
  const join = (line: readonly string[]) =>
    line
      .map((cell, i) => (left[i] ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
      .join("  ")
      .trimEnd();
  return [head, widths.map((width) => "-".repeat(width)), ...cells].map(join).join("\n");
}
