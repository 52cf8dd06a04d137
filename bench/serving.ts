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

/** The rows of the 1.1B model of `type`. The first time it is made, which takes a minute and 1.1 GB: a quick run leaves it out. */
async function ofLarge(
  type: "q8_0" | "q4_k_m",
  rows: (model: ServedFile, effort: Effort) => Promise<Row[]>,
): Promise<Row[]> {
  const made = isQuick ? { missing: "--quick measures small models only" } : synthModel(type);
  if ("missing" in made) {
    console.error(`left out: ${shapes}, ${type.toUpperCase()}: ${made.missing}`);
    return [];
  }
  const { path } = made;
  return rows({ name: `${shapes}, ${type.toUpperCase()}`, file: path, native: path, tokens: 32 }, effort);
}

const parts: Readonly<Record<string, () => Promise<Row[]>>> = {
  server: () => serverRows(tales, effort),
  tales: () => streamRows(tales, effort),
  [`streams of ${shapes}, Q8_0`]: () => ofLarge("q8_0", streamRows),
  [`streams of ${shapes}, Q4_K_M`]: () => ofLarge("q4_k_m", streamRows),
  prefix: () => ofLarge("q8_0", prefixRows),
  beside: () => ofLarge("q8_0", besideRows),
};

function again(): never {
  const [program = "", script = "", ...args] = process.argv;
  const env = { ...process.env, CRIA_NO_REALTIME: "1" };
  const { status } = spawnSync("chrt", ["--rr", "1", program, script, ...args], { stdio: "inherit", env });
  process.exit(status ?? 1);
}

if (inRealTime && !isQuick) {
  // Before the real-time run, which would keep whatever else these need from its turn.
  installPackages();
  for (const type of ["q8_0", "q4_k_m"] as const) synthModel(type);
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

for (const [part, run] of Object.entries(parts)) {
  if (only !== undefined && !part.includes(only)) continue;
  const added = await run();
  if (added.length === 0) continue;
  console.log(table(added.map(({ asked = "", ...row }) => ({ ...row, asked }))));
  if (!isQuick) store(added);
}
if (!isQuick) console.log(`written: ${fileURLToPath(file)}`);
