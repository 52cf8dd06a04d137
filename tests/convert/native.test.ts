// What quantize() and convert() write, loaded by llama.cpp. Runs if bench/peers is installed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { type ConvertOptions, convert, type ModelSource } from "../../src/convert.ts";
import { Llama } from "../../src/mod.ts";
import { testFolder } from "../support/cli.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { tinyFolder } from "../support/safetensors_writer.ts";
import { itUnless } from "../support/skip.ts";

const program = fileURLToPath(new URL("../../bench/peers/native_logprobs.mjs", import.meta.url));
const installed = new URL("../../bench/peers/node_modules/node-llama-cpp/package.json", import.meta.url);
const missing = !existsSync(installed) && "bench/peers is not installed";

const folder = testFolder();
const ids = [1, 270, 271, 280, 265, 290, 288, 262, 270, 271, 299, 263];

/** llama.cpp's log-probabilities of each file. */
function native(paths: readonly string[]): Promise<number[][][]> {
  return new Promise((resolve, reject) => {
    const child = spawn("node", [program, ...paths], { stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      if (status !== 0) return reject(new Error(`status ${status}`));
      resolve(
        text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      );
    });
    child.stdin.end(JSON.stringify(ids));
  });
}

/** cria's log-probabilities after each of the first ids. */
async function ours(path: string): Promise<Float64Array[]> {
  await using llama = await Llama.load(path, { threads: 1, precision: "f32" });
  const rows: Float64Array[] = [];
  for (let n = 1; n < ids.length; n++) {
    const logits = Float64Array.from(await llama.logits(ids.slice(0, n)));
    const most = Math.max(...logits);
    const sum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
    rows.push(logits.map((logit) => logit - most - sum));
  }
  return rows;
}

const wide = { dim: 256, nLayers: 2, nHeads: 4, nKvHeads: 4, hiddenDim: 512 };

// llama.cpp keeps keys and values in 16 bits here. Beside weights of BF16 and quantized ones it rounds activations.
const EXACT = 0.01;
const ROUNDED = 0.15;

const cases: readonly (readonly [string, () => ModelSource, ConvertOptions, number])[] = [
  ["F16", () => tinyLlamaGguf(wide).bytes, { type: "F16" }, EXACT],
  ["BF16", () => tinyLlamaGguf(wide).bytes, { type: "BF16" }, ROUNDED],
  ["one head of keys and values", () => tinyLlamaGguf(wide).bytes, { kvHeads: 1 }, EXACT],
  ["a folder of safetensors", () => Object.fromEntries(tinyFolder()), {}, EXACT],
  ["Q8_0", () => tinyLlamaGguf(wide).bytes, { type: "Q8_0" }, ROUNDED],
  ["Q6_K", () => tinyLlamaGguf(wide).bytes, { type: "Q6_K" }, ROUNDED],
  ["Q5_1", () => tinyLlamaGguf(wide).bytes, { type: "Q5_1" }, ROUNDED],
  ["Q4_K_M", () => tinyLlamaGguf(wide).bytes, { type: "Q4_K_M" }, ROUNDED],
  ["IQ4_NL", () => tinyLlamaGguf(wide).bytes, { type: "IQ4_NL" }, ROUNDED],
];

/** The largest difference over the likeliest ids of each row: of the others, the sizes of roundings say little. */
function worst(theirs: number[][], expected: Float64Array[]): number {
  assert.equal(theirs.length, expected.length);
  let most = 0;
  for (const [i, row] of expected.entries()) {
    assert.equal(theirs[i]?.length, row.length);
    const likely = [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number)).slice(0, 20);
    for (const id of likely)
      most = Math.max(most, Math.abs((row[id] as number) - (theirs[i]?.[id] as number)));
  }
  return most;
}

describe("llama.cpp", () => {
  itUnless(missing, "loads what convert() writes, and gives the same log-probabilities", async () => {
    const paths: string[] = [];
    for (const [name, input, options] of cases) {
      const path = folder.path(`${name.replaceAll(" ", "_")}.gguf`);
      await convert(input(), path, options);
      paths.push(path);
    }
    const theirs = await native(paths);
    assert.equal(theirs.length, cases.length);
    for (const [i, [name, , , limit]] of cases.entries()) {
      const most = worst(theirs[i] as number[][], await ours(paths[i] as string));
      assert.ok(most <= limit, `${name}: ${most}`);
    }
  });
});
