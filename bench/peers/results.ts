// Computes ratios from times and compares them with their targets. Pure functions.
import type { Kind } from "../processor.ts";
import { Q8_LIMIT } from "../quality.ts";
import { median, significant } from "../report.ts";
import { type Column, columns, type Group, type Metric, type Row, type Size, type Timed } from "./groups.ts";
import type { PeerName } from "./peer_process.ts";
import type { GroupTimes, SeatTimes } from "./run.ts";

/** A cell of the table. */
export interface Ratio {
  readonly value: number;
  readonly target: number | undefined;
  readonly met: boolean | undefined;
}

/** A line of the table. */
export interface RowResult {
  readonly title: string;
  readonly bound: Row["bound"];
  readonly ratios: Readonly<Partial<Record<Column, Ratio>>>;
}

/** The medians of one peer in one group. */
export interface Medians {
  readonly group: string;
  readonly model: string;
  readonly peer: string;
  readonly threads: number;
  readonly version: string;
  readonly loadMs?: number;
  readonly decodeTokensPerS?: number;
  readonly prefillTokensPerS?: number;
  readonly peakMb?: number;
  readonly emptyMb?: number;
  readonly linearMb?: number;
  readonly samples: number;
  readonly failure?: string;
}

/** Mean negative log-likelihoods of a token, in nats. */
export interface Nll {
  readonly f32: number;
  readonly q8: number;
}

/** The nll of a model's text, by column. */
export interface Quality {
  readonly model: string;
  readonly nll: Readonly<Partial<Record<Column, Nll>>>;
}

/** The median of a seat's measurements; undefined if there are none. */
export function medianOf(seat: SeatTimes, metric: Metric): number | undefined {
  if (isSize(metric)) return sizeOf(seat, metric);
  const value = median(seat.times[metric]);
  return Number.isNaN(value) ? undefined : value;
}

function isSize(metric: Metric): metric is Size {
  return metric === "memory" || metric === "resident" || metric === "linear";
}

function sizeOf({ peakBytes, emptyBytes, linearBytes }: SeatTimes, metric: Size): number | undefined {
  if (metric === "linear") return linearBytes;
  if (metric === "memory" || peakBytes === undefined) return peakBytes;
  return emptyBytes === undefined ? undefined : peakBytes - emptyBytes;
}

function seat(times: GroupTimes, peer: PeerName, threads: number): SeatTimes | undefined {
  return times.seats.find((seat) => seat.peer === peer && seat.threads === threads);
}

// A rate for decode and prefill (more is better); milliseconds or bytes for the others.
function amount(times: SeatTimes | undefined, metric: Metric): number | undefined {
  const value = times && medianOf(times, metric);
  if (value === undefined) return undefined;
  return metric === "decode" || metric === "prefill" ? 1000 / value : value;
}

/**
 * `above` ÷ `below`, as the median of the ratios of each round; undefined if they share no round. Both have their turns of a
 * round within seconds. Between rounds the speed of the machine drifts by more than engines differ, so a quotient of two
 * medians would compare different minutes.
 */
export function roundByRound(above: SeatTimes, below: SeatTimes, metric: Timed): number | undefined {
  const [ours, theirs] = [above.times[metric], below.times[metric]];
  const rounds = ours.slice(0, theirs.length).map((ms, round) => {
    const ratio = ms / theirs[round]!;
    return metric === "load" ? ratio : 1 / ratio;
  });
  return rounds.length > 0 ? median(rounds) : undefined;
}

// The seat that a row compares with.
function other(times: GroupTimes, { to, threads }: Row, column: Column): SeatTimes | undefined {
  switch (to) {
    case "one thread":
      return seat(times, column, 1);
    case "native":
    case "wllama":
    case "fugood":
    case "memory":
      return seat(times, to, threads ?? times.group.threads);
    default:
      return undefined;
  }
}

function quotientOf(times: GroupTimes, row: Row, column: Column): number | undefined {
  const own = seat(times, row.of ?? column, row.threads ?? times.group.threads);
  if (!own) return undefined;
  const { metric, to } = row;
  if (typeof to === "object" || isSize(metric)) {
    const value = amount(own, metric);
    const stored = to === "weights + KV cache" ? times.weightBytes : times.fileBytes;
    const below = typeof to === "object" ? to.tokensPerS : stored + (times.group.kvBytes ?? 0);
    return value === undefined ? undefined : value / below;
  }
  const below = other(times, row, column);
  return below && roundByRound(own, below, metric);
}

function ratio(times: GroupTimes, row: Row, column: Column, kind: Kind): Ratio | undefined {
  const quotient = quotientOf(times, row, column);
  if (quotient === undefined) return undefined;
  const value = significant(quotient, 3);
  const target = row.targets[kind][column];
  return { value, target, met: target === undefined ? undefined : meets(value, row.bound, target) };
}

/** Whether a ratio meets its target. */
export function meets(value: number, bound: Row["bound"], target: number): boolean {
  return bound === "≥" ? value >= target : value <= target;
}

// The columns of a row: those that have a target, or all if none has.
function shown(row: Row, kind: Kind): readonly Column[] {
  const named = columns.filter((column) => row.targets[kind][column] !== undefined);
  return named.length > 0 ? named : columns;
}

/** The ratios of a group, with the targets of a kind of processor. Rows without measurements are dropped. */
export function rowResults(times: GroupTimes, kind: Kind): RowResult[] {
  return times.group.rows.flatMap((row) => {
    const ratios: Partial<Record<Column, Ratio>> = {};
    for (const column of shown(row, kind)) {
      const value = ratio(times, row, column, kind);
      if (value) ratios[column] = value;
    }
    return Object.keys(ratios).length > 0 ? [{ title: row.title, bound: row.bound, ratios }] : [];
  });
}

function nllRatio({ f32, q8 }: Nll): Ratio {
  const value = significant(q8 / f32, 5);
  return { value, target: 1 + Q8_LIMIT, met: Math.abs(q8 / f32 - 1) <= Q8_LIMIT };
}

/** Rows for the table of ratios. */
export function qualityRows(all: readonly Quality[]): RowResult[] {
  return all.flatMap(({ model, nll }) => {
    const found = columns.flatMap((column) => {
      const one = nll[column];
      return one ? [{ column, one }] : [];
    });
    const first = found[0]?.one;
    if (!first) return [];
    const ratios = Object.fromEntries(found.map(({ column, one }) => [column, nllRatio(one)]));
    const title = `nll of ${model}, q8 ÷ f32 (${first.q8.toFixed(4)} ÷ ${first.f32.toFixed(4)} nats)`;
    return [{ title, bound: "≤", ratios }];
  });
}

/** The medians of every peer of a group. */
export function medians({ group, seats }: GroupTimes): Medians[] {
  return seats.map((seat) => {
    const decode = amount(seat, "decode");
    const prefill = amount(seat, "prefill");
    const load = amount(seat, "load");
    return {
      group: group.name,
      model: group.title,
      peer: seat.peer,
      threads: seat.threads,
      version: seat.version,
      ...(load === undefined ? {} : { loadMs: significant(load) }),
      ...(decode === undefined ? {} : { decodeTokensPerS: significant(decode) }),
      ...(prefill === undefined ? {} : { prefillTokensPerS: significant(prefill * group.prefill) }),
      ...megabytes("peakMb", seat.peakBytes),
      ...megabytes("emptyMb", seat.emptyBytes),
      ...megabytes("linearMb", seat.linearBytes),
      samples: seat.times.decode.length,
      ...(seat.failure === undefined ? {} : { failure: seat.failure }),
    };
  });
}

function megabytes(name: "peakMb" | "emptyMb" | "linearMb", bytes: number | undefined): object {
  return bytes === undefined ? {} : { [name]: significant(bytes / 1e6) };
}

function cell(bound: string, ratio: Ratio | undefined): string {
  if (!ratio) return "–";
  const { value, target, met } = ratio;
  return target === undefined ? `${value}` : `${value} (${bound} ${target}: ${met ? "met" : "**missed**"})`;
}

/** A table in Markdown. */
export function markdownTable(
  head: readonly string[],
  lines: readonly (readonly (string | number)[])[],
): string {
  return [head, head.map(() => "---"), ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** The ratios as a table in Markdown. */
export function ratioTable(rows: readonly RowResult[]): string {
  return markdownTable(
    ["work", "Deno", "Bun", "Chromium"],
    rows.map(({ title, bound, ratios }) => [title, ...columns.map((column) => cell(bound, ratios[column]))]),
  );
}

/** Readable names of peers. */
export const peerTitles: Readonly<Record<PeerName, string>> = {
  native: "llama.cpp, native",
  deno: "cria in Deno",
  bun: "cria in Bun",
  chromium: "cria in Chromium",
  wllama: "wllama in Chromium",
  fugood: "node-llama-wasm in Chromium",
  memory: "only reading the weights",
};

/** The medians as a table in Markdown. */
export function medianTable(all: readonly Medians[]): string {
  const lines = all.map(
    ({ model, peer, threads, loadMs, decodeTokensPerS, prefillTokensPerS, peakMb, linearMb, failure }) => [
      model,
      `${peerTitles[peer as PeerName]}${failure ? ` (failed: ${failure.split("\n")[0]})` : ""}`,
      threads,
      decodeTokensPerS ?? "–",
      prefillTokensPerS ?? "–",
      loadMs ?? "–",
      peakMb ?? "–",
      linearMb ?? "–",
    ],
  );
  return markdownTable(
    ["model", "peer", "threads", "decode, tok/s", "prefill, tok/s", "load, ms", "peak, MB", "linear, MB"],
    lines,
  );
}

/** The groups that a command line names, or all if it names none. */
export function chooseGroups(groups: readonly Group[], names: string | undefined): readonly Group[] {
  if (names === undefined) return groups;
  return names.split(",").map((name) => {
    const group = groups.find((group) => group.name === name);
    if (!group)
      throw new Error(`Cannot measure rows ${name}: Expected ${groups.map(({ name }) => name).join(", ")}`);
    return group;
  });
}
