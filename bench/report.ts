// Turns times into rates, shares of the read bandwidth, rounded numbers and tables. Pure functions.

/** The work of one call. Each field that is given makes a column of rates. */
export interface Work {
  /** Bytes that the call must read from memory: weights, keys and values, or rows. */
  readonly bytes?: number;
  /** Multiply-adds. */
  readonly macs?: number;
  readonly elements?: number;
  readonly tokens?: number;
  /** UTF-8 bytes of text. */
  readonly textBytes?: number;
}

/** Rates of a call, for each kind of work that is given. */
export interface Rates {
  readonly tokensPerS?: number;
  readonly gbPerS?: number;
  /** Share of the read bandwidth: 1 is all of it; more means that the bytes came from a cache. */
  readonly shareOfBandwidth?: number;
  readonly gmacPerS?: number;
  readonly elementsPerS?: number;
  readonly textMbPerS?: number;
}

/** Rounds to `digits` significant digits. Further digits are noise. */
export function significant(x: number, digits = 4): number {
  return Number.isFinite(x) ? Number(x.toPrecision(digits)) : 0;
}

/** The lower median; NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** A rate as a share of `ceiling`; 0 if there is no ceiling. */
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

/** Microseconds as text, in us, ms or s. */
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
 * Rows as aligned text. Every key of any row is a column, in order of appearance. Text is aligned left, numbers right. If a
 * row lacks a key, its cell is empty.
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
