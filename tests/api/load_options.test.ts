import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KvType, Precision } from "../../src/mod.ts";
import { Llama, UsageError } from "../../src/mod.ts";
import { type TinyLlamaOptions, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { refused } from "../support/refused.ts";
import { refuses } from "../support/refuses.ts";

const tiny = (options: TinyLlamaOptions = {}) => tinyLlamaGguf(options).bytes;

describe("Llama.load() with options that make no sense", () => {
  it("refuses what tune does not know", async () => {
    for (const [tune, message] of [
      [null, /^Cannot load with tune null: Expected an object$/],
      [2, /^Cannot load with tune 2: Expected an object$/],
      [{ thread: 2 }, /thread.*did you mean threads\?$/],
      [{ threads: 0 }, /^Cannot load with tune.threads 0: Expected a positive integer$/],
      [{ threads: "2" }, /^Cannot load with tune.threads "2": Expected a positive integer$/],
      [{ threads: null }, /^Cannot load with tune.threads null: Expected a positive integer$/],
      [{ threads: 257 }, /^Cannot load with tune.threads 257: Expected at most 256$/],
      [{ threads: { ones: 2 } }, /ones.*did you mean one\?$/],
      [{ dots: "wide" }, /dots.*did you mean dot\?$/],
      [{ dot: "fast" }, /^Cannot load with tune.dot "fast": Expected one of wide, moved, unsigned, signed$/],
      [{ dot: "toString" }, /^Cannot load with tune.dot "toString": Expected one of wide, moved/],
      [{ dot: 0 }, /^Cannot load with tune.dot 0: Expected one of wide, moved/],
      [{ dot: null }, /^Cannot load with tune.dot null: Expected one of wide, moved/],
      [{ streams: 3 }, /^Cannot load with tune.streams 3: Expected one of 1, 2, 4, 8$/],
      [{ streams: 16 }, /^Cannot load with tune.streams 16: Expected one of 1, 2, 4, 8$/],
      [{ streams: "2" }, /^Cannot load with tune.streams "2": Expected one of 1, 2, 4, 8$/],
      [{ splats: "both" }, /^Cannot load with tune.splats "both": Expected one of loads, shuffles$/],
      [{ streams: null }, /^Cannot load with tune.streams null: Expected one of 1, 2, 4, 8$/],
      [{ threads: { one: 1.5 } }, /^Cannot load with tune.threads.one 1.5: Expected a positive integer$/],
    ] as const) {
      await refused(Llama.load("no/such/file", { tune } as never), message, UsageError);
    }
  });

  it("refuses each option by name, with what it may be, before the file is opened", async () => {
    const cases: [string, unknown[], string][] = [
      ["threads", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY], "a positive integer"],
      ["contextLength", [0, -1, 1.5, Number.NaN, 2 ** 53], "a positive integer"],
      ["maxBytes", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY], "a positive integer"],
    ];
    for (const [option, values, expected] of cases) {
      for (const value of values) {
        await refused(
          Llama.load("no/such/file", { [option]: value }),
          new RegExp(`^Cannot load with ${option} ${value}: Expected ${expected}$`),
          UsageError,
        );
      }
      for (const [value, got] of [
        ["4", '"4"'],
        [null, "null"],
        [10n, "10n"],
        [{}, "an object"],
      ] as const) {
        await refused(
          Llama.load("no/such/file", { [option]: value }),
          new RegExp(`^Cannot load with ${option} ${got}: Expected ${expected}$`),
          UsageError,
        );
      }
    }
    const choices: [string, string][] = [
      ["precision", "f32, q8, q4"],
      ["kv", "f32, f16, q8"],
      ["kernel", "simd, relaxed, simd-shared, relaxed-shared"],
    ];
    for (const [option, allowed] of choices) {
      for (const [value, got] of [
        ["q5", '"q5"'],
        ["", '""'],
        ["toString", '"toString"'],
        ["__proto__", '"__proto__"'],
        ["x".repeat(1e6), `"x{80}\\.\\.\\."`],
        [8, "8"],
        [null, "null"],
        [["q8"], "an array"],
      ] as const) {
        await refused(
          Llama.load("no/such/file", { [option]: value }),
          new RegExp(`^Cannot load with ${option} ${got}: Expected one of ${allowed}$`),
          UsageError,
        );
      }
    }
    // q4 is no type of keys and values, f16 none of weights.
    await refused(
      Llama.load(tiny(), { kv: "q4" as KvType }),
      /with kv "q4": Expected one of f32, f16, q8$/,
      UsageError,
    );
    await refused(
      Llama.load(tiny(), { precision: "f16" as Precision }),
      /precision "f16": Expected/,
      UsageError,
    );
  });

  it("refuses a kernel build that the runtime does not accept", async () => {
    const { validate } = WebAssembly;
    WebAssembly.validate = () => false;
    try {
      await refused(
        Llama.load(tiny(), { kernel: "relaxed" }),
        /^Cannot load with kernel "relaxed": Expected a build that this runtime accepts$/,
        UsageError,
      );
    } finally {
      WebAssembly.validate = validate;
    }
  });

  it("refuses a context longer than the model's, and takes one of 1", async () => {
    await refuses(
      tiny(),
      /^Cannot load with contextLength 129: Expected at most 128 \(the model's context\); ropeScaling reaches beyond it$/,
      UsageError,
      { contextLength: 129 },
    );
    await using llama = await Llama.load(tiny(), { contextLength: 1, threads: 1 });
    const { ids, finishReason } = await llama.complete("", { ignoreEos: true });
    assert.deepEqual([ids.length, finishReason], [1, "context"]);
  });

  it("takes options that are undefined as absent", async () => {
    const options = { threads: undefined, contextLength: undefined, maxBytes: undefined, kernel: undefined };
    (await Llama.load(tiny(), { ...options, precision: undefined, kv: undefined })).dispose();
  });
});
