// Writes the part of docs/performance.md that compares cria with its peers: `bun bench/peers/performance_page.ts`. It has a column for each
// measured processor and is made from the result files alone. A test checks that it is up to date.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "../machine.ts";
import { kindOf, processorName } from "../processor.ts";
import { type Column, columns, groups, type Row } from "./groups.ts";
import { markdownTable, meets, type Ratio, type RowResult } from "./results.ts";

/** Folder of the results. It has a file for each processor. */
export const resultsFolder: URL = new URL("../results/peers/", import.meta.url);

/** docs/performance.md. */
export const page: URL = new URL("../../docs/performance.md", import.meta.url);

/** The parts of a result file that the table needs. */
export interface Result {
  /** Name without its ending. */
  readonly file: string;
  readonly machine: Pick<Machine, "cpu" | "microarchitecture" | "features" | "commit" | "date">;
  readonly ratios: readonly RowResult[];
  /** Groups that were measured later than the others. */
  readonly parts?: readonly {
    readonly groups: readonly string[];
    readonly machine: { commit: string; date: string };
  }[];
}

const BEGIN = "<!-- peers: bun bench/peers/performance_page.ts writes what follows -->";
const END = "<!-- peers: end -->";

/** All result files, by name. */
export function readResults(): Result[] {
  return readdirSync(resultsFolder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => {
      const { machine, ratios, parts } = JSON.parse(readFileSync(new URL(name, resultsFolder), "utf8"));
      return { file: name.slice(0, -".json".length), machine, ratios, parts };
    });
}

const rowsByTitle = new Map<string, Row>(groups.flatMap(({ rows }) => rows).map((row) => [row.title, row]));

// Removes the measured values from the end of a quality row's title, because they differ from run to run.
function plainTitle(title: string): string {
  return title.replace(/ \([\d.]+ ÷ [\d.]+ nats\)$/, "");
}

// Titles of the rows of all results: first those of the groups, in their order, then the others.
function titlesOf(results: readonly Result[]): string[] {
  const measured = new Set(results.flatMap(({ ratios }) => ratios.map(({ title }) => plainTitle(title))));
  const known = [...rowsByTitle.keys()].filter((title) => measured.has(title));
  return [...known, ...[...measured].filter((title) => !rowsByTitle.has(title))];
}

function figure({ value }: Ratio, title: string): string {
  return title.startsWith("nll") ? value.toFixed(4) : value.toPrecision(3);
}

// The target of today, also for old results.
function targetOf({ machine }: Result, title: string, column: Column, { target }: Ratio): number | undefined {
  const row = rowsByTitle.get(title);
  return row ? row.targets[kindOf(machine)][column] : target;
}

function cell(result: Result, title: string): string {
  const row = result.ratios.find((row) => plainTitle(row.title) === title);
  if (!row) return "–";
  return columns
    .map((column) => {
      const ratio = row.ratios[column];
      if (!ratio) return "–";
      const target = targetOf(result, title, column, ratio);
      const missed = target !== undefined && !meets(ratio.value, row.bound, target);
      return figure(ratio, title) + (missed ? ` (target ${row.bound} ${target})` : "");
    })
    .join(" / ");
}

function instructions({ machine }: Result): string {
  const { features = [] } = machine;
  const none = features.includes("AVX2") && kindOf(machine) === "plain" ? ["no VNNI"] : [];
  return [...features, ...none].join(", ") || "unknown";
}

// When a file's groups were measured: date and commit, and the models of groups whose date or commit is another.
function measuredWhen({ file, machine, parts = [] }: Result): string {
  const models = new Map<string, string[]>();
  for (const part of parts) {
    const when = `${part.machine.date}, ${part.machine.commit}`;
    const titles = part.groups.map((name) => groups.find((group) => group.name === name)?.title ?? name);
    models.set(when, [...(models.get(when) ?? []), ...titles]);
  }
  const later = [...models].map(([when, titles]) => `; ${titles.join(", ")}: ${when}`);
  return `[${machine.date}, ${machine.commit}](../bench/results/peers/${file}.json)${later.join("")}`;
}

/** The table and the charts. */
export function peersPart(results: readonly Result[]): string {
  const head = ["work: Deno / Bun / Chromium", ...results.map(({ machine }) => processorName(machine))];
  const lines = [
    ["instructions", ...results.map(instructions)],
    ["measured", ...results.map(measuredWhen)],
    ...titlesOf(results).map((title) => [title, ...results.map((result) => cell(result, title))]),
  ];
  const charts = results.map(
    ({ file, machine }) =>
      `![Tokens a second of cria and its peers, ${processorName(machine)}](../bench/results/peers/${file}.svg)`,
  );
  return [markdownTable(head, lines), ...charts].join("\n\n");
}

/** Replaces the part of a text about the peers. @throws Error if it has no such part */
export function withPeers(text: string, results: readonly Result[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`docs/performance.md has no part between "${BEGIN}" and "${END}"`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${peersPart(results)}\n\n${text.slice(end)}`;
}

/** Writes the part of docs/performance.md about the peers. */
export function writePage(): void {
  writeFileSync(page, withPeers(readFileSync(page, "utf8"), readResults()));
}

if (import.meta.main) writePage();
