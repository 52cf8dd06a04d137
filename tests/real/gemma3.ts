// A real Gemma 3 beside native llama.cpp on the same file: ids, log-probabilities and greedy texts. `bun run test:real` runs this;
// `bun run test` does not, as the model is fetched.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { Engine, type EngineOptions } from "../../src/engine/engine.ts";
import { openModelFile } from "../../src/format/detect.ts";
import { Llama } from "../../src/mod.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { openSource } from "../../src/source/open.ts";
import { allLogits, hashLogits } from "../support/models.ts";
import { itUnless } from "../support/skip.ts";

const { realModel } = await import(new URL("../../scripts/real_model.mjs", import.meta.url).href);
const { path, reason } = (await realModel()) as { path: string; reason?: string };

const program = fileURLToPath(new URL("../../bench/peers/native_text.mjs", import.meta.url));
const installed = new URL("../../bench/peers/node_modules/node-llama-cpp/package.json", import.meta.url);
const noNative: string | false = reason ?? (!existsSync(installed) && "bench/peers is not installed");

const TEXTS = [
  "The capital of France is",
  "Once upon a time, in a village by the sea,",
  "def fibonacci(n):\n    ",
  "Water boils at a temperature of",
  "Der schnellste Weg, eine Sprache zu lernen, ist",
  "La bibliothèque municipale ouvre ses portes à",
  "1, 1, 2, 3, 5, 8, 13,",
  "Dear Sir or Madam,\n\nI am writing to",
  "東京は日本の",
  "| Planet | Moons |\n|---|---|\n| Earth | 1 |\n| Mars |",
];
const TOKENS = 24;
const EVERY = 6;
const TOP = 20;

type Top = Record<string, [id: number, logProbability: number][]>;

interface Said {
  readonly ids: number[];
  readonly greedy: number[];
  readonly together: Top;
  readonly apart: Top;
}

function native(): Promise<Said[]> {
  return new Promise((resolve, reject) => {
    const child = spawn("node", [program, path], { stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? resolve(JSON.parse(text)) : reject(new Error(`status ${status}`)),
    );
    child.stdin.end(JSON.stringify({ texts: TEXTS, tokens: TOKENS, every: EVERY, top: TOP }));
  });
}

async function engineOf(options: EngineOptions): Promise<Engine> {
  const source = await openSource(path, detectRuntime());
  try {
    return await Engine.create(await openModelFile(source), { threads: 2, contextLength: 512, ...options });
  } finally {
    await source.close();
  }
}

function logProbabilities(logits: Float32Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((all, z) => all + Math.exp(z - most), 0);
  return Float64Array.from(logits, (z) => z - most - Math.log(sum));
}

/** Log-probabilities after each id of each text and of its continuation, 8 at a time: as many as a step has logits for. */
async function ours(options: EngineOptions, said: readonly Said[]): Promise<Float64Array[][]> {
  const own = await engineOf(options);
  try {
    const all: Float64Array[][] = [];
    for (const { ids, greedy } of said)
      all.push((await allLogits(own, [...ids, ...greedy], [8])).map(logProbabilities));
    return all;
  } finally {
    own.retire(new Error("done"));
  }
}

const rms = (values: readonly number[]) =>
  Math.sqrt(values.reduce((sum, d) => sum + d * d, 0) / values.length);

interface Place {
  readonly text: number;
  readonly position: number;
  readonly id: number;
  /** Native's log-probability there. */
  readonly value: number;
}

/** Differences from exact log-probabilities, at the tokens that native names. */
function distances(
  said: readonly Said[],
  exact: readonly Float64Array[][],
  of: (place: Place) => number,
  kind: "together" | "apart" = "together",
): number[] {
  return said.flatMap((each, text) =>
    Object.entries(each[kind]).flatMap(([at, row]) =>
      row.map(([id, value]) => {
        const position = Number(at);
        return of({ text, position, id, value }) - (exact[text]?.[position]?.[id] as number);
      }),
    ),
  );
}

describe("Gemma 3 270M", () => {
  let said: Said[];
  let exact: Float64Array[][];
  let own: Float64Array[][];

  before(async () => {
    if (noNative !== false) return;
    said = await native();
    exact = await ours({ precision: "f32", kv: "f32" }, said);
    own = await ours({}, said);
  });
  after(() => {
    [said, exact, own] = [[], [], []];
  });

  itUnless(noNative, "has native's ids", async () => {
    await using llama = await Llama.load(path, { contextLength: 64, threads: 1 });
    assert.equal(llama.config.vocabSize, 262144);
    assert.deepEqual(
      TEXTS.map((text) => llama.tokenizer.encode(text, { bos: true })),
      said.map(({ ids }) => ids),
    );
  });

  itUnless(noNative, "is as near to exact weights and sums as native", () => {
    const theirs = distances(said, exact, ({ value }) => value);
    const mine = distances(said, exact, ({ text, position, id }) => own[text]?.[position]?.[id] as number);
    assert.equal(theirs.length, TEXTS.length * TOP * (TOKENS / EVERY + 1));
    console.log(`root mean square from exact: cria ${rms(mine)}, native ${rms(theirs)}`);
    // As many times native's as models/micro's check allows.
    assert.ok(rms(mine) <= 1.5 * rms(theirs), `${rms(mine)}, native ${rms(theirs)}`);
  });

  itUnless(noNative, "has native's greedy ids, but for those of nearly the same likelihood", () => {
    const theirs = ["together", "apart"] as const;
    const most = Math.max(
      ...theirs.flatMap((kind) => distances(said, exact, ({ value }) => value, kind)).map(Math.abs),
    );
    const best = (row: Float64Array) => row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    const others = { cria: 0, native: 0, between: 0 };
    for (const [text, { ids, greedy }] of said.entries()) {
      for (const [i, id] of greedy.entries()) {
        const right = exact[text]?.[ids.length + i - 1] as Float64Array;
        const [mine, first] = [best(own[text]?.[ids.length + i - 1] as Float64Array), best(right)];
        others.cria += Number(mine !== first);
        others.native += Number(id !== first);
        others.between += Number(id !== mine);
        // Two that are as far from exact as native is choose differently only if exact leads are less than twice that.
        const lead = Math.abs((right[mine] as number) - (right[id] as number));
        assert.ok(
          lead <= 2 * most,
          `text ${text}, id ${i}: ${mine} in place of ${id}, ${lead} apart, ${most}`,
        );
      }
    }
    console.log(`of ${TEXTS.length * TOKENS} greedy ids others than the exact ones:`, others);
    assert.ok(others.cria <= 1.5 * others.native, `${others.cria}, native ${others.native}`);
  });

  itUnless(noNative, "has the same logits for 8 sequences in a step as for each alone", async () => {
    const engine = await engineOf({});
    const { buffers, maxOutputs, config } = engine.layout;
    assert.deepEqual([config.vocabSize, maxOutputs], [262144, 8], `${Object.keys(buffers)}`);
    const all = said.slice(0, 8).map(({ ids }) => ids.slice(0, 4));
    const segments = all.map((ids) => ({
      ...{ sequence: engine.sequence(), ids, begin: 0, end: ids.length },
      outputs: "last" as const,
    }));
    const together = await engine.step(segments, () => all.map((_ids, row) => engine.logits(row).slice()));
    for (const [i, ids] of all.entries()) {
      const alone = (await allLogits(engine, ids, [8])).at(-1) as Float32Array;
      assert.equal(hashLogits([together[i] as Float32Array]), hashLogits([alone]), `sequence ${i}`);
    }
    engine.retire(new Error("done"));
  });
});
