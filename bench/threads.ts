// Compares the number of threads that the engine chooses with one and with two threads, on machines that are quiet, busy
// or have one core.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { startFileServer } from "../examples/browser/serve.ts";
import type { Precision } from "../src/mod.ts";
import { machine } from "./machine.ts";
import { embeddedModel } from "./models.ts";
import { median, significant } from "./report.ts";
import { synthModel } from "./synth.ts";

/** A model to measure alternately with each number of threads, in one process. */
interface Task {
  /** Path or URL of the model. */
  readonly model: string;
  /** Default: as the file has them. */
  readonly precision?: Precision;
  readonly tokens: number;
  readonly rounds: number;
}

/** Tokens per second of each round, by number of threads: one, two, or the usual choice. */
type Rates = Readonly<Record<"one" | "two" | "usual", { prefill: number[]; decode: number[] }>>;

/** One row of the result. */
interface Row {
  readonly runtime: string;
  readonly model: string;
  readonly machine: string;
  readonly prefill: Shares;
  readonly decode: Shares;
}

interface Shares {
  readonly one: number;
  readonly two: number;
  readonly usual: number;
  /** The usual rate ÷ the better of the other two. */
  readonly ofBest: number;
}

const ROUNDS = 7;
// A prompt of the small model takes a few milliseconds, so the choice of threads needs more rounds to settle.
const SMALL_ROUNDS = 21;
const conditions = ["quiet", "two busy loops", "one core"] as const;
type Condition = (typeof conditions)[number];
const runtimes = ["bun", "deno", "node", "chromium"] as const;
type RuntimeName = (typeof runtimes)[number];

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}.cache/threads`;
const results = new URL("results/threads.json", import.meta.url);
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

// Runs in every runtime, sent there as text. It must not use anything of this module.
async function turns(
  Llama: typeof import("../src/mod.ts").Llama,
  { model, precision, tokens, rounds }: Task,
) {
  const prompt = "One day, a little girl went to the park and saw a big dog. ".repeat(3);
  const options = { one: { tune: { threads: 1 } }, two: { tune: { threads: 2 } }, usual: {} };
  const names = ["one", "two", "usual"] as const;
  const rates = {
    one: { prefill: [] as number[], decode: [] as number[] },
    two: { prefill: [] as number[], decode: [] as number[] },
    usual: { prefill: [] as number[], decode: [] as number[] },
  };
  const source = model.startsWith("http") ? new URL(model) : model;
  const llamas = {
    one: await Llama.load(source, { contextLength: 256, precision, ...options.one }),
    two: await Llama.load(source, { contextLength: 256, precision, ...options.two }),
    usual: await Llama.load(source, { contextLength: 256, precision, ...options.usual }),
  };
  // The first round warms up.
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + names.length) % names.length] as "one" | "two" | "usual";
      // Wait until the threads of the model before have gone to sleep.
      await new Promise((resolve) => setTimeout(resolve, 200));
      const { timings } = await llamas[name].complete(prompt, {
        maxTokens: tokens,
        ignoreEos: true,
        seed: 7,
      });
      if (round < 0) continue;
      rates[name].prefill.push(timings.prefillTps);
      rates[name].decode.push(timings.decodeTps);
    }
  }
  return rates;
}

async function bundle(): Promise<string> {
  const path = `${folder}/cria.mjs`;
  await build({
    entryPoints: [`${root}src/mod.ts`],
    bundle: true,
    format: "esm",
    target: "es2022",
    outfile: path,
    external: ["node:*"],
    logLevel: "warning",
  });
  return path;
}

function commandOf(runtime: RuntimeName, program: string): string[] {
  const bin = `${root}node_modules/.bin/`;
  if (runtime === "bun") return [`${bin}bun`, program];
  if (runtime === "deno") return [`${bin}deno`, "run", "-A", "--no-check", program];
  return ["node", program];
}

function run(command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => (text += chunk));
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve(text);
      else reject(new Error(`Expected ${command.join(" ")} to end with status 0, got ${status}`));
    });
  });
}

async function inProcess(runtime: RuntimeName, condition: Condition, task: Task): Promise<Rates> {
  const program = `${folder}/turns.mjs`;
  const end = "process.stdout.write(JSON.stringify(rates), () => process.exit());";
  writeFileSync(
    program,
    `import { Llama } from "./cria.mjs";
import process from "node:process";
const rates = await (${turns})(Llama, ${JSON.stringify(task)});
${end}
`,
  );
  const pinned = condition === "one core" ? ["taskset", "-c", "0"] : [];
  return JSON.parse(await run([...pinned, ...commandOf(runtime, program)]));
}

// Measures in a worker of an isolated page.
async function inPage(condition: Condition, task: Task): Promise<Rates> {
  const server = await startFileServer({
    port: 0,
    isolated: true,
    files: {
      "/index.html": "<!doctype html><title>threads</title><link rel=icon href=data:,>",
      "/cria.js": readFileSync(`${folder}/cria.mjs`, "utf8"),
      "/model.gguf": new Uint8Array(readFileSync(task.model)),
      "/worker.js": `import { Llama } from "./cria.js";
onmessage = async ({ data }) => postMessage(await (${turns})(Llama, data));`,
    },
  });
  let browser: Browser | undefined;
  try {
    browser = await chromium.launch({
      executablePath: condition === "one core" ? pinnedChromium() : CHROMIUM,
      headless: true,
      args: ["--no-sandbox", "--disable-gpu"],
    });
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(server.origin);
    return await page.evaluate(
      (task) =>
        new Promise<Rates>((resolve, reject) => {
          const worker = new Worker("/worker.js", { type: "module" });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(task);
        }),
      { ...task, model: `${server.origin}/model.gguf` },
    );
  } finally {
    await browser?.close();
    await server.close();
  }
}

function pinnedChromium(): string {
  const path = `${folder}/chromium`;
  writeFileSync(path, `#!/bin/sh\nexec taskset -c 0 ${CHROMIUM} "$@"\n`, { mode: 0o755 });
  return path;
}

async function beside<T>(condition: Condition, body: () => Promise<T>): Promise<T> {
  const loops: ChildProcess[] = [];
  if (condition === "two busy loops") {
    for (let i = 0; i < 2; i++) loops.push(spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }));
  }
  try {
    return await body();
  } finally {
    for (const loop of loops) loop.kill();
  }
}

function shares(rates: Rates, part: "prefill" | "decode"): Shares {
  const of = (name: keyof Rates) => median(rates[name][part]);
  const [one, two, usual] = [of("one"), of("two"), of("usual")];
  return {
    one: significant(one),
    two: significant(two),
    usual: significant(usual),
    ofBest: significant(usual / Math.max(one, two), 3),
  };
}

async function main(): Promise<void> {
  // Arguments name runtimes, conditions and models; without any, all are measured. Rows of the result file that are not
  // measured now stay unchanged.
  const chosen = process.argv.slice(2);
  const wants = <T extends string>(all: readonly T[]): readonly T[] => {
    const named = all.filter((name) => chosen.includes(name));
    return named.length > 0 ? named : all;
  };
  mkdirSync(folder, { recursive: true });
  await bundle();
  const large = synthModel("q8_0", "stories110m");
  const tales = fileURLToPath(embeddedModel);
  const models: (Task & { readonly name: string })[] = [
    { name: "tales q8", model: tales, precision: "q8", tokens: 120, rounds: SMALL_ROUNDS },
  ];
  if ("path" in large)
    models.push({ name: "110M shape q8_0", model: large.path, tokens: 40, rounds: ROUNDS });
  else console.log(`skipped: 110M shape: ${large.missing}`);
  const rows: Row[] = [];
  for (const condition of wants(conditions)) {
    for (const { name, ...task } of models) {
      if (!wants(models.map((model) => model.name)).includes(name)) continue;
      for (const runtime of wants(runtimes)) {
        const rates = await beside(condition, () =>
          runtime === "chromium" ? inPage(condition, task) : inProcess(runtime, condition, task),
        );
        const row = {
          runtime,
          model: name,
          machine: condition,
          prefill: shares(rates, "prefill"),
          decode: shares(rates, "decode"),
        };
        rows.push(row);
        console.log(line(row));
      }
    }
  }
  const about =
    "Tokens per second with one thread, with two, and with as many as the engine chooses (usual): medians of " +
    "alternating rounds in one process. ofBest: usual ÷ the better of the other two. 'one core': taskset -c 0. 'two busy " +
    "loops': two shells that loop run at the same time. Chromium: in a worker of an isolated page.";
  const versions = { node: execFileSync("node", ["--version"], { encoding: "utf8" }).trim() };
  const key = ({ machine, model, runtime }: Row) => `${machine}, ${model}, ${runtime}`;
  const measured = new Map(rows.map((row) => [key(row), row]));
  const before: Row[] = existsSync(results) ? JSON.parse(readFileSync(results, "utf8")).rows : [];
  const kept = before.map((row) => measured.get(key(row)) ?? row);
  const names = new Set(before.map(key));
  const all = [...kept, ...rows.filter((row) => !names.has(key(row)))];
  writeFileSync(
    results,
    `${JSON.stringify({ about, machine: { ...machine(), ...versions }, rows: all }, null, 2)}\n`,
  );
  console.log(`written: ${fileURLToPath(results)}`);
}

function line({ runtime, model, machine, prefill, decode }: Row): string {
  const part = ({ one, two, usual, ofBest }: Shares) => `1: ${one}, 2: ${two}, chosen: ${usual} (${ofBest})`;
  const name = `${machine}, ${model}, ${runtime}`;
  return `${name.padEnd(44)} decode ${part(decode)}; prefill ${part(prefill)}`;
}

if (import.meta.main) await main();
