// What serving many at once costs and gains: `bun bench/serving.ts`, with --quick to check that it runs.
//
// Streams are generations at once of one model; a server's engine runs in a thread of its own. With llama.cpp (bench/peers) if it is
// installed. All that is compared takes turns. Under real-time scheduling if that is allowed, as bench/peers: other programs get
// no time meanwhile; CRIA_NO_REALTIME switches it off.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { machine } from "./machine.ts";
import { embeddedModel } from "./models.ts";
import { inRealTime } from "./peers/peer_process.ts";
import { table } from "./report.ts";
import { besideRows, prefixRows } from "./serving/latency.ts";
import type { Effort, Row, ServedFile } from "./serving/rows.ts";
import { serverRows } from "./serving/server.ts";
import { streamRows } from "./serving/streams.ts";

const isQuick = process.argv.includes("--quick");
const only = process.argv.find((arg) => arg.startsWith("--only="))?.slice("--only=".length);
const effort: Effort = isQuick ? { rounds: 1, share: 0.25 } : { rounds: 7, share: 1 };

const tales: ServedFile = {
  name: "tales",
  file: embeddedModel,
  native: fileURLToPath(embeddedModel),
  tokens: 200,
};
const large: ServedFile[] = ["q8_0", "q4_k_m"].flatMap((type) => {
  const path = fileURLToPath(new URL(`../.cache/tinyllama-1.1b-${type}.gguf`, import.meta.url));
  if (existsSync(path))
    return [{ name: `TinyLlama-1.1B shapes, ${type.toUpperCase()}`, file: path, native: path, tokens: 32 }];
  console.error(`left out: ${path} is absent; \`bun run bench:synth\` writes it`);
  return [];
});

const parts: Readonly<Record<string, () => Promise<Row[]>>> = {
  server: () => serverRows(tales, effort),
  tales: () => streamRows(tales, effort),
  ...Object.fromEntries(large.map((model) => [`streams of ${model.name}`, () => streamRows(model, effort)])),
  ...Object.fromEntries(
    large
      .slice(0, 1)
      .flatMap((model) => [
        ["prefix", () => prefixRows(model, effort)] as const,
        ["beside", () => besideRows(model, effort)] as const,
      ]),
  ),
};

function again(): never {
  const [program = "", script = "", ...args] = process.argv;
  const env = { ...process.env, CRIA_NO_REALTIME: "1" };
  const { status } = spawnSync("chrt", ["--rr", "1", program, script, ...args], { stdio: "inherit", env });
  process.exit(status ?? 1);
}

if (inRealTime && !isQuick) again();

const where = machine();
const file = new URL(`results/serving.${where.runtime.split(" ")[0]}.json`, import.meta.url);
mkdirSync(new URL("results/", import.meta.url), { recursive: true });

// Of the file, what was not measured now. Rows are kept as they come: the last part takes ten minutes.
function store(added: readonly Row[]): void {
  const stored: { rows: Row[] } = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { rows: [] };
  const isNew = (row: Row) => added.some(({ model, what }) => model === row.model && what === row.what);
  const rows = [...stored.rows.filter((row) => !isNew(row)), ...added];
  writeFileSync(file, `${JSON.stringify({ suite: "serving", machine: where, rows }, null, 2)}\n`);
}

for (const [name, run] of Object.entries(parts)) {
  if (only !== undefined && !name.includes(only)) continue;
  const added = await run();
  console.log(table(added.map(({ asked = "", ...row }) => ({ ...row, asked }))));
  if (!isQuick) store(added);
}
if (!isQuick) console.log(`written: ${fileURLToPath(file)}`);
