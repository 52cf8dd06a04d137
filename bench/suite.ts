// The base of every suite: command line, table, result file.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pickVariant, type Variant, variants } from "../src/kernels/variant.ts";
import { KernelArea } from "./kernel_area.ts";
import { Bandwidth, machine } from "./machine.ts";
import { type Call, type Effort, measure, quick, type Times, thorough } from "./measure.ts";
import { type Cell, ratesOf, significant, table, type Work } from "./report.ts";

/** Options from the command line. */
export interface Options {
  /** Kernel build. */
  readonly kernel: Variant;
  /** Model files that the decode suite measures instead of its own. */
  readonly models: readonly string[];
  /** Skips models of a gigabyte. */
  readonly small: boolean;
  readonly effort: Effort;
  /** Whether to write result files. */
  readonly save: boolean;
}

/** One line of a table: a call to time. */
export interface Case {
  readonly name: string;
  readonly shape: string;
  readonly work: Work;
  readonly call: Call;
}

/** Further columns of a line, beyond its rates. */
export type Extra = Readonly<Record<string, Cell>>;

interface Measured extends Case {
  readonly times: Times;
  /** GB/s of the fastest sweep around the samples. */
  readonly sweep: number;
  readonly extra: Extra;
}

/** A named set of cases. */
export interface Suite {
  readonly name: string;
  /** What is timed, and which bytes GB/s counts. */
  readonly about: string;
  /** Measures every case, in order. */
  run(session: Session): Promise<void>;
}

const METHOD =
  "One thread. Each case is warmed up until its times stop falling, then sampled with mitata. Rates are of the " +
  "median; minUs is the fastest sample. Before, between and after the samples of every case the same thread " +
  "reads 512 MiB, eight streams at a time. sweepGbPerS is the fastest of these sweeps around the case, " +
  "bandwidth.maxGbPerS the fastest of the suite, and shareOfBandwidth is gbPerS ÷ bandwidth.maxGbPerS.";

/** One run of suites. Its cases share the measured read bandwidth and a memory. */
export class Session {
  readonly options: Options;
  readonly #bandwidth: Bandwidth;
  #area: KernelArea | undefined;
  #cases: Measured[] = [];
  #skipped: string[] = [];

  constructor(options: Options) {
    this.options = options;
    this.#bandwidth = new Bandwidth();
  }

  /** Kernels on a memory, which it empties: addresses of earlier cases are no longer valid. */
  async area(): Promise<KernelArea> {
    this.#area ??= await KernelArea.create(this.options.kernel);
    this.#area.reset();
    return this.#area;
  }

  /** Times a case, with memory sweeps in between. `extra` computes further columns from the times. */
  async measure(item: Case, extra: (times: Times) => Extra = () => ({})): Promise<Times> {
    let sweep = 0;
    const times = await measure(item.call, this.options.effort, () => {
      sweep = Math.max(sweep, this.#bandwidth.readBandwidth());
    });
    this.#cases.push({ ...item, times, sweep, extra: extra(times) });
    progress(".");
    return times;
  }

  /** Records that something was skipped, and why. */
  skip(what: string, why: string): void {
    this.#skipped.push(`${what}: ${why}`);
  }

  /** Runs a suite, prints its table and writes its results. */
  async run(suite: Suite): Promise<void> {
    this.#cases = [];
    this.#skipped = [];
    this.#bandwidth.reset();
    const where = machine();
    await suite.run(this);
    progress("\n");
    const { summary } = this.#bandwidth;
    const rows = this.#cases.map((item) => row(item, summary.maxGbPerS));
    console.log(`\n${suite.name}: ${where.runtime}, ${this.options.kernel} kernels, one thread`);
    console.log(
      `read bandwidth ${summary.maxGbPerS} GB/s (median of ${summary.samples}: ${summary.medianGbPerS})`,
    );
    console.log(table(rows));
    for (const line of this.#skipped) console.log(`skipped: ${line}`);
    if (!this.options.save) return;
    const result = {
      suite: suite.name,
      about: suite.about,
      method: METHOD,
      machine: where,
      versions: versions(),
      kernel: this.options.kernel,
      threads: 1,
      bandwidth: summary,
      rows,
      skipped: this.#skipped,
    };
    write(`${suite.name}.${where.runtime.split(" ")[0]}.json`, result);
  }
}

function progress(mark: string): void {
  if (process.stderr.isTTY) process.stderr.write(mark);
}

function row({ name, shape, work, times, sweep, extra }: Measured, ceiling: number): Record<string, Cell> {
  return {
    name,
    shape,
    medianUs: significant(times.medianNs / 1000),
    minUs: significant(times.minNs / 1000),
    samples: times.samples,
    ...ratesOf(work, times.medianNs, ceiling),
    ...(work.bytes === undefined ? {} : { sweepGbPerS: significant(sweep) }),
    ...extra,
  };
}

function versions(): Record<string, string> {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version, devDependencies } = JSON.parse(text);
  const { assemblyscript, mitata } = devDependencies;
  return { cria: version, assemblyscript, mitata, loader: devDependencies["@assemblyscript/loader"] };
}

function write(name: string, result: object): void {
  const folder = new URL("results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(name, folder), `${JSON.stringify(result, null, 2)}\n`);
  console.log(`written: ${fileURLToPath(new URL(name, folder))}`);
}

const USAGE = `Options:
  --model FILE   decode: measure this model file, not the suite's own; may be repeated
  --small        skip models of a gigabyte
  --kernel NAME  kernel build: ${variants.join(", ")}
  --quick        take a few samples only, and write no result files
  --dry          write no result files`;

function parse(args: readonly string[]): { options: Options; names: string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      model: { type: "string", multiple: true, default: [] },
      small: { type: "boolean", default: false },
      kernel: { type: "string", default: pickVariant(false) },
      quick: { type: "boolean", default: false },
      dry: { type: "boolean", default: false },
    },
  });
  const kernel = variants.find((variant) => variant === values.kernel);
  if (!kernel) throw new Error(`Expected a kernel build, got ${values.kernel}`);
  const options: Options = {
    kernel,
    models: values.model,
    small: values.small,
    effort: values.quick ? quick : thorough,
    save: !values.quick && !values.dry,
  };
  return { options, names: positionals };
}

/** Runs the suites that the command line names, or all if it names none. */
export async function runSuites(suites: readonly Suite[]): Promise<void> {
  let chosen: readonly Suite[];
  let options: Options;
  try {
    const parsed = parse(process.argv.slice(2));
    options = parsed.options;
    const unknown = parsed.names.find((name) => !suites.some((suite) => suite.name === name));
    if (unknown) throw new Error(`Expected names of suites, got ${unknown}`);
    chosen = suites.filter(({ name }) => parsed.names.length === 0 || parsed.names.includes(name));
  } catch (error) {
    console.error(`${(error as Error).message}\nSuites: ${suites.map((s) => s.name).join(", ")}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const session = new Session(options);
  for (const suite of chosen) await session.run(suite);
}
