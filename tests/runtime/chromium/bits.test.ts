// The promise, kept in a browser: the bits of every other runtime, with each build and any number of threads.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe } from "node:test";
import type { Page } from "playwright-core";
import type { Variant } from "../../../src/kernels/variant.ts";
import { bundleForBrowser, inPage, itChromium } from "../../support/chromium.ts";
import { MIXED_VOCAB, mixedModel, mixNames } from "../../support/mixed_models.ts";
import { embeddedModel } from "../../support/models.ts";
import { sharedBytes, sharedPath } from "../../support/shared.ts";
import { type Bits, type BitsCase, bitsOf } from "./bits.ts";
import type { BitsAnswer, BitsRequest } from "./bits_worker.ts";

/** Hashes of logits by the names of cases: of the embedded model and of models of mixed types. */
const golden: Readonly<Record<string, string>> = Object.assign(
  {},
  ...["logits", "mixes"].map((name) =>
    JSON.parse(readFileSync(new URL(`../../golden/${name}.json`, import.meta.url), "utf8")),
  ),
);
const storiesFile = "models/stories260K/stories260K-f32.gguf";
const hasStories = existsSync(sharedPath(storiesFile));
if (!hasStories) console.log(`skipped: stories260K in Chromium: ../shared/${storiesFile} is absent`);

/** What is computed with every kernel and thread count, and the name of its golden hash if it has one. */
interface TestCase extends Omit<BitsCase, "kernel" | "tune"> {
  readonly golden?: string;
}

/** A model and its cases. */
interface TestModel {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly cases: readonly TestCase[];
}

const models: TestModel[] = [
  {
    path: "/tales.gguf",
    bytes: new Uint8Array(readFileSync(embeddedModel)),
    cases: [
      { golden: "file/f16", kv: "f16", vocabSize: 4096, prompt: "Once upon a time" },
      { golden: "q8/f16", precision: "q8", kv: "f16", vocabSize: 4096, prompt: "Once upon a time" },
      { golden: "q4/q8", precision: "q4", kv: "q8", vocabSize: 4096, prompt: "Once upon a time" },
      { golden: "f32/f32", precision: "f32", kv: "f32", vocabSize: 4096, prompt: "The old king" },
    ],
  },
];
if (hasStories) {
  models.push({
    path: "/stories260K.gguf",
    bytes: sharedBytes(storiesFile),
    cases: [{ precision: "f32", kv: "f32", vocabSize: 512, prompt: "" }],
  });
}

const mixedModels: readonly TestModel[] = mixNames.map((mix) => ({
  path: `/${mix}.gguf`,
  bytes: mixedModel(mix),
  cases: [{ golden: `${mix}/file`, vocabSize: MIXED_VOCAB, prompt: "Once" }],
}));

/** Every kernel an isolated page can have, with 1 to 4 threads. */
const isolatedSettings = [
  ...[1, 2, 3, 4].map((threads) => ({ kernel: "relaxed-shared", threads }) as const),
  ...[1, 2, 3, 4].map((threads) => ({ kernel: "simd-shared", threads }) as const),
  { kernel: "relaxed", threads: 1 },
  { kernel: "simd", threads: 1 },
] as const;

async function files(models: readonly TestModel[]): Promise<Record<string, string | Uint8Array>> {
  return {
    "/index.html": '<!doctype html><html lang="en"><title>bits</title><link rel="icon" href="data:,">',
    "/worker.js": await bundleForBrowser("tests/runtime/chromium/bits_worker.ts"),
    ...Object.fromEntries(models.map(({ path, bytes }) => [path, bytes])),
  };
}

/** What the cases compute in a worker of the page. */
async function bitsInWorker(page: Page, request: BitsRequest): Promise<readonly Bits[]> {
  const answer = await page.evaluate(
    (request) =>
      new Promise<BitsAnswer>((resolve) => {
        const worker = new Worker("/worker.js", { type: "module" });
        const end = (answer: BitsAnswer) => {
          worker.terminate();
          resolve(answer);
        };
        worker.onmessage = ({ data }) => end(data);
        worker.onerror = ({ message }) => end({ error: message });
        worker.postMessage(request);
      }),
    request,
  );
  if ("error" in answer) throw new Error(answer.error);
  return answer.bits;
}

/** Runs every case of every model with each kernel and thread count in the page and holds it to the bits here. */
async function compare(
  page: Page,
  models: readonly TestModel[],
  settings: readonly { kernel: Variant; threads: number }[],
): Promise<void> {
  for (const { path, bytes, cases } of models) {
    for (const { golden: goldenName, ...testCase } of cases) {
      const here = await bitsOf(bytes, { ...testCase, kernel: "simd" });
      assert.ok(here.ids.length >= 3, here.text);
      const name = goldenName ?? `${testCase.precision}/${testCase.kv}`;
      if (goldenName) assert.equal(here.logits, golden[goldenName], goldenName);
      const all = settings.map(({ kernel, threads }) => ({ ...testCase, kernel, tune: { threads } }));
      const there = await bitsInWorker(page, { model: path, cases: all });
      settings.forEach((setting, i) => {
        const { kernel, threads, logits, ids, text } = there[i] as Bits;
        const what = `${path} ${name} ${setting.kernel}, ${setting.threads} threads`;
        assert.equal(kernel, setting.kernel, what);
        assert.equal(threads, setting.threads, what);
        assert.equal(logits, here.logits, what);
        assert.deepEqual(ids, here.ids, what);
        assert.equal(text, here.text, what);
      });
    }
  }
}

describe("Chromium", () => {
  for (const [what, tested] of [
    ["", models],
    [" of mixed types", mixedModels],
  ] as const) {
    itChromium(
      `gives the bits${what} of this runtime if isolated: 1 to 4 threads, relaxed and plain SIMD`,
      async () => {
        await inPage({ isolated: true, files: await files(tested) }, async ({ page, origin, complaints }) => {
          await page.goto(origin);
          assert.equal(await page.evaluate(() => crossOriginIsolated), true);
          await compare(page, tested, isolatedSettings);
          assert.deepEqual(complaints, []);
        });
      },
    );
  }

  itChromium("gives the bits of this runtime where not isolated, in one thread", async () => {
    await inPage({ isolated: false, files: await files(models) }, async ({ page, origin, complaints }) => {
      await page.goto(origin);
      assert.equal(await page.evaluate(() => crossOriginIsolated), false);
      await compare(page, models, [
        { kernel: "relaxed", threads: 1 },
        { kernel: "simd", threads: 1 },
      ]);
      assert.deepEqual(complaints, []);
    });
  });

  itChromium("takes the threads there are where isolated, and one where not", async () => {
    const { path, cases } = models[0] as TestModel;
    const { golden: goldenName, ...testCase } = cases[0] as TestCase;
    for (const isolated of [true, false]) {
      await inPage({ isolated, files: await files(models) }, async ({ page, origin, complaints }) => {
        await page.goto(origin);
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        const all = [{}, { threads: 1000 }, { tune: { threads: 3 } }];
        const request = { model: path, cases: all.map((options) => ({ ...testCase, ...options })) };
        const [usual, most, three] = await bitsInWorker(page, request);
        assert.equal(usual?.threads, isolated ? cores : 1);
        assert.equal(usual?.kernel, isolated && cores > 1 ? "relaxed-shared" : "relaxed");
        assert.equal(most?.threads, isolated ? cores : 1);
        assert.equal(three?.threads, isolated ? 3 : 1);
        assert.equal(three?.logits, golden[goldenName as string]);
        assert.deepEqual(three?.ids, usual?.ids);
        assert.deepEqual(complaints, []);
      });
    }
  });
});
