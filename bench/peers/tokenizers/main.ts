// Measures cria's tokenizers and those of others in Bun and Deno, in one run: `bun run bench:tokenizers`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine } from "../../machine.ts";
import { significant } from "../../report.ts";
import { installPackages, peerVersions, program } from "../install.ts";
import type { Row } from "./measure.ts";
import { type Check, checksOf, type Measured, ratioTable, speedTable } from "./results.ts";

const METHOD =
  "Whole texts, about 1 MB each, encoded in one call: English (botchan.txt and the guides of the installed packages), " +
  "code (the TypeScript compiler), Chinese and Japanese (its messages). Encoders of one vocabulary take turns after a " +
  "warm-up. A turn begins with a garbage collection. It encodes the text repeatedly for 300 ms, at least once, and its time " +
  "is the median. Values are medians of five turns, or of one turn if a text takes longer than two seconds. Bytes are those " +
  "of UTF-8. The hard texts have 1 MB: one letter, one emoji, spaces, digits, the letters of English alone. They take turns " +
  "with English.";

const peers = [
  "tiktoken",
  "gpt-tokenizer",
  "llama-tokenizer-js",
  "@huggingface/tokenizers",
  "@node-rs/jieba",
];

function measureIn(runtime: "bun" | "deno", folder: string): Measured {
  const script = fileURLToPath(new URL("measure.ts", import.meta.url));
  const out = `${folder}/${runtime}.json`;
  const args =
    runtime === "bun"
      ? [script, out]
      : ["run", "--allow-all", "--no-check", "--v8-flags=--expose-gc", script, out];
  console.error(runtime);
  execFileSync(program(runtime), args, { stdio: ["ignore", "inherit", "inherit"] });
  return JSON.parse(readFileSync(out, "utf8"));
}

function rounded({ mbPerS, ...rest }: Row): Row {
  return {
    ...rest,
    mbPerS: Object.fromEntries(Object.entries(mbPerS).map(([name, value]) => [name, significant(value, 3)])),
  };
}

function save(all: readonly Measured[], checks: readonly Check[]): void {
  const path = fileURLToPath(new URL("../../results/tokenizers.json", import.meta.url));
  const versions = Object.fromEntries(peers.map((name) => [name, peerVersions[name]]));
  const runs = all.map(({ rows, ...rest }) => ({ ...rest, rows: rows.map(rounded) }));
  const result = { suite: "tokenizers", method: METHOD, machine: machine(), versions, checks, runs };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`written: ${path}`);
}

const { values } = parseArgs({ options: { dry: { type: "boolean", default: false } } });
installPackages();
const folder = mkdtempSync(`${tmpdir()}/cria-tokenizers-`);
try {
  const all = [measureIn("bun", folder), measureIn("deno", folder)];
  const checks = all.flatMap(checksOf);
  for (const one of all) console.log(`\n${one.runtime}\n\n${speedTable(one)}`);
  console.log(`\n${ratioTable(checks)}\n`);
  for (const { runtime, skipped } of all) {
    for (const line of skipped) console.log(`skipped in ${runtime}: ${line}`);
  }
  if (!values.dry) save(all, checks);
} finally {
  rmSync(folder, { recursive: true });
}
