// Makes docs/measurements.md from a result file. Pure functions.
import type { Machine } from "../machine.ts";
import type { Claim, Section, Table } from "./claim.ts";
import { claims } from "./registry.ts";
import { number, percent } from "./words.ts";

/** Contents of the result file. */
export interface Result {
  readonly machine: Machine;
  readonly kernel: string;
  readonly bandwidth: { readonly maxGbPerS: number; readonly medianGbPerS: number; readonly samples: number };
  readonly quick: boolean;
  /** Data of each measured claim, by name. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly skipped: readonly string[];
}

/** The page and the charts it shows, by file name. */
export interface Page {
  readonly markdown: string;
  readonly charts: ReadonlyMap<string, string>;
}

// A machine counts as quiet up to this load average, and from this ratio of median to best memory speed.
const QUIET_LOAD = 1.5;
const QUIET_BANDWIDTH = 0.9;

/** A table in Markdown. */
export function markdownTable({ left = 1, head, rows }: Table): string {
  const cells = (line: readonly string[]) =>
    `| ${line.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((_, i) => (i < left ? "---" : "---:"));
  return [head, rule, ...rows].map(cells).join("\n");
}

/** Whether the machine was quiet, as a sentence. */
export function quietness({ machine, bandwidth }: Pick<Result, "machine" | "bandwidth">): string {
  const share = bandwidth.maxGbPerS > 0 ? bandwidth.medianGbPerS / bandwidth.maxGbPerS : 0;
  const numbers = `load average ${number(machine.loadAverage)} at the start, median memory speed ${percent(share)} of its best`;
  const quiet = machine.loadAverage <= QUIET_LOAD && share >= QUIET_BANDWIDTH;
  return quiet
    ? `The machine was quiet: ${numbers}.`
    : `The machine was not quiet (${numbers}). Only the ratios are reliable.`;
}

function header(result: Result): string[] {
  const { machine, bandwidth, kernel, quick } = result;
  const file = `../bench/results/claims.${machine.runtime.split(" ")[0]}.json`;
  return [
    "# Measurements",
    "",
    "The engine measured with and without each of its techniques. `bun run bench:claims` writes this page, its charts " +
      `and [the numbers](${file}); do not edit it. A ratio above 1 means that the first of the two is larger.`,
    "",
    `${machine.date}, ${machine.runtime} (${machine.engine}), ${machine.cpu}, ${machine.cores} cores, ` +
      `${machine.os}; cria ${machine.commit}, ${kernel} kernels; one thread reads ` +
      `${number(bandwidth.maxGbPerS)} GB/s. One thread computes, unless a table says otherwise. ` +
      "Times are medians. Samples of the compared calls alternate.",
    "",
    quick ? "**This was a quick run: the numbers mean nothing.**" : quietness(result),
    "",
  ];
}

// "norms.svg", "norms_2.svg".
function chartName({ name }: Claim, i: number): string {
  return i === 0 ? `${name}.svg` : `${name}_${i + 1}.svg`;
}

function section(claim: Claim, { tables, charts, found }: Section): string[] {
  return [
    `## ${claim.title}`,
    "",
    claim.about,
    "",
    ...tables.flatMap((table) => [markdownTable(table), ""]),
    ...charts.flatMap(({ alt }, i) => [`![${alt}](measurements/${chartName(claim, i)})`, ""]),
    found,
    "",
  ];
}

/** The page of a result. */
export function renderPage(result: Result): Page {
  const measured = claims.filter(({ name }) => name in result.claims);
  const sections = measured.map((claim) => ({ claim, section: claim.render(result.claims[claim.name]) }));
  const summary = sections.flatMap(({ claim, section: { ratios } }) =>
    ratios.map(({ what, value }, i) => [i === 0 ? claim.title : "", what, value]),
  );
  const lines = [
    ...header(result),
    markdownTable({ left: 2, head: ["technique", "what is compared", "ratio"], rows: summary }),
    "",
    ...sections.flatMap((each) => section(each.claim, each.section)),
  ];
  if (result.skipped.length > 0) {
    lines.push("## Skipped", "", ...result.skipped.map((text) => `- ${text}`), "");
  }
  return {
    markdown: lines.join("\n"),
    charts: new Map(
      sections.flatMap(({ claim, section: { charts } }) =>
        charts.map(({ svg }, i) => [chartName(claim, i), svg] as const),
      ),
    ),
  };
}
