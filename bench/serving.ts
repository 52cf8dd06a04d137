// What serving many at once costs and gains: `bun bench/serving.ts`, with --quick to check that it runs, and `--only=tales` (a
// part of a name) for a part of it.
//
// Streams are generations at once of one model; a server's engine runs in a thread of its own. With llama.cpp, which
// bench/peers installs. All that is compared takes turns. Under real-time scheduling if that is allowed, as bench/peers: other programs get
// no time meanwhile; CRIA_NO_REALTIME switches it off.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { machine } from "./machine.ts";
import { embeddedModel } from "./models.ts";
import { installPackages } from "./peers/install.ts";
import { inRealTime } from "./peers/peer_process.ts";
import { processorSlug } from "./processor.ts";
import { table } from "./report.ts";
import { besideRows, prefixRows } from "./serving/latency.ts";
import type { Effort, Row, ServedFile } from "./serving/rows.ts";
import { serverRows } from "./serving/server.ts";
import { streamRows } from "./serving/streams.ts";
import { synthModel } from "./synth.ts";

const isQuick = process.argv.includes("--quick");
const only = process.argv.find((arg) => arg.startsWith("--only="))?.slice("--only=".length);
const effort: Effort = isQuick ? { rounds: 1, share: 0.25 } : { rounds: 7, share: 1 };

const tales: ServedFile = {
  name: "tales",
  file: embeddedModel,
  native: fileURLToPath(embeddedModel),
  tokens: 200,
};
const shapes = "TinyLlama-1.1B shapes";

/** A part of the benchmark: its rows, and the type of the 1.1B model if it measures one. */
interface Part {
  readonly type?: "q8_0" | "q4_k_m";
  readonly rows: (model: ServedFile, effort: Effort) => Promise<Row[]>;
}

const parts: Readonly<Record<string, Part>> = {
  server: { rows: serverRows },
  tales: { rows: streamRows },
  [`streams of ${shapes}, Q8_0`]: { type: "q8_0", rows: streamRows },
  [`streams of ${shapes}, Q4_K_M`]: { type: "q4_k_m", rows: streamRows },
  prefix: { type: "q8_0", rows: prefixRows },
  beside: { type: "q8_0", rows: besideRows },
};
const asked = Object.entries(parts).flatMap(([name, part]) =>
  only === undefined || name.includes(only) ? [part] : [],
);
if (asked.length === 0) {
  console.error(`Cannot measure ${only}: Expected a part of one of ${Object.keys(parts).join("; ")}`);
  process.exit(2);
}

/** The rows of a part. A 1.1B model is made the first time, which takes a minute and 1.1 GB: a quick run leaves it out. */
async function measure({ type, rows }: Part): Promise<Row[]> {
  if (!type) return rows(tales, effort);
  const made = isQuick ? { missing: "--quick measures small models only" } : synthModel(type);
  if ("missing" in made) {
    console.error(`left out: ${shapes}, ${type.toUpperCase()}: ${made.missing}`);
    return [];
  }
  const { path } = made;
  return rows({ name: `${shapes}, ${type.toUpperCase()}`, file: path, native: path, tokens: 32 }, effort);
}

function again(): never {
  const [program = "", script = "", ...args] = process.argv;
  const env = { ...process.env, CRIA_NO_REALTIME: "1" };
  const { status } = spawnSync("chrt", ["--rr", "1", program, script, ...args], { stdio: "inherit", env });
  process.exit(status ?? 1);
}

if (inRealTime && !isQuick) {
  // Before the real-time run, which would keep whatever else these need from its turn.
  installPackages();
  for (const { type } of asked) if (type) synthModel(type);
  again();
}

const where = machine();
// A file for each processor: rows of one are no good beside those of another.
const name = `${processorSlug(where)}.${where.runtime.split(" ")[0]}.json`;
const file = new URL(`results/serving/${name}`, import.meta.url);
mkdirSync(new URL("./", file), { recursive: true });

// Of the file, what was not measured now. Rows are kept as they come: the last part takes ten minutes.
function store(added: readonly Row[]): void {
  const stored: { rows: Row[] } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { rows: [] };
  const isNew = (row: Row) => added.some(({ model, what }) => model === row.model && what === row.what);
  const rows = [...stored.rows.filter((row) => !isNew(row)), ...added];
  writeFileSync(file, `${JSON.stringify({ suite: "serving", machine: where, rows }, null, 2)}\n`);
}

for (const part of asked) {
  const added = await measure(part);
  if (added.length === 0) continue;
  console.log(table(added.map(({ asked = "", ...row }) => ({ ...row, asked }))));
  if (!isQuick) store(added);
}
if (!isQuick) console.log(`written: ${fileURLToPath(file)}`);
