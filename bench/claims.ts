// Measures the engine with and without each technique and writes docs/measurements.md with its charts:
// `bun run bench:claims`.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pickVariant } from "../src/kernels/variant.ts";
import { detectRuntime } from "../src/runtime/detect.ts";
import type { Bench } from "./claims/claim.ts";
import { type Result, renderPage } from "./claims/page.ts";
import { claims } from "./claims/registry.ts";
import { quick, thorough, timeInTurns } from "./claims/timing.ts";
import { KernelArea } from "./kernel_area.ts";
import { Bandwidth, machine } from "./machine.ts";
import type { Call } from "./measure.ts";

const USAGE = `Usage: bun run bench:claims [options]
  --quick        takes a few samples only; writes to build/claims/, not to docs/ and bench/results/
  --only NAME    measures this claim only; may be repeated (${claims.map(({ name }) => name).join(", ")}).
                 Needs --quick, unless the claim is the same on every machine: then the result file gets it anew
  --render       measures nothing; writes the page again from the result file`;

interface Options {
  readonly quick: boolean;
  readonly render: boolean;
  readonly only: readonly string[];
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      render: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
    },
  });
  const unknown = values.only.find((only) => !claims.some(({ name }) => name === only));
  if (unknown !== undefined) throw new Error(`Expected one of the claims, got ${unknown}`);
  const timed = claims.find(({ name, isExact }) => values.only.includes(name) && !isExact);
  if (timed && !values.quick)
    throw new Error(
      `Expected --quick with --only ${timed.name}, because the page has every claim of one machine`,
    );
  return values;
}

/** Where a run writes its files. */
interface Target {
  readonly result: URL;
  /** Folder of measurements.md and measurements/. */
  readonly docs: URL;
}

function target({ quick }: Options): Target {
  const root = new URL("../", import.meta.url);
  const file = `claims.${detectRuntime().name.split(" ")[0]}.json`;
  return quick
    ? { result: new URL(`build/claims/${file}`, root), docs: new URL("build/claims/", root) }
    : { result: new URL(`bench/results/${file}`, root), docs: new URL("docs/", root) };
}

function write(url: URL, text: string): void {
  mkdirSync(new URL("./", url), { recursive: true });
  writeFileSync(url, text);
}

function writePage(result: Result, { docs }: Target): void {
  const { markdown, charts } = renderPage(result);
  const page = new URL("measurements.md", docs);
  write(page, markdown);
  for (const [name, svg] of charts) write(new URL(`measurements/${name}`, docs), svg);
  console.log(`written: ${fileURLToPath(page)}`);
}

async function measureAll(options: Options): Promise<Result> {
  const effort = options.quick ? quick : thorough;
  const kernel = pickVariant(false);
  const where = machine();
  const memory = new Bandwidth();
  memory.readBandwidth();
  const skipped: string[] = [];
  let area: KernelArea | undefined;
  const bench: Bench = {
    kernel,
    quick: options.quick,
    area: async () => {
      area ??= await KernelArea.create(kernel);
      area.reset();
      return area;
    },
    time: async (calls: readonly Call[]) => {
      const times = await timeInTurns(calls, effort);
      memory.readBandwidth();
      return times;
    },
    bandwidth: () => memory.max,
    skip: (what, why) => {
      skipped.push(`${what}: ${why}`);
    },
  };
  const data: Record<string, unknown> = {};
  for (const claim of claims) {
    if (options.only.length > 0 && !options.only.includes(claim.name)) continue;
    const begin = performance.now();
    data[claim.name] = await claim.measure(bench);
    console.error(`${claim.name}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  }
  return { machine: where, kernel, bandwidth: memory.summary, quick: options.quick, claims: data, skipped };
}

// Claims that every machine measures alike are put into the result that is there.
async function measured(options: Options, { result }: Target): Promise<Result> {
  const fresh = await measureAll(options);
  if (options.quick || options.only.length === 0) return fresh;
  const all = JSON.parse(readFileSync(result, "utf8")) as Result;
  return { ...all, claims: { ...all.claims, ...fresh.claims } };
}

async function main(): Promise<void> {
  let options: Options;
  try {
    options = parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const files = target(options);
  if (!options.render) write(files.result, `${JSON.stringify(await measured(options, files), null, 2)}\n`);
  // The page is made from the file, never from memory, so it cannot say anything that the file does not.
  writePage(JSON.parse(readFileSync(files.result, "utf8")) as Result, files);
}

if (import.meta.main) await main();
