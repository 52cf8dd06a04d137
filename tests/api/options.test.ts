// What the library does with options that nobody knows, of the wrong type, undefined or null.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { numberFlag } from "../../src/cli/args.ts";
import { readGenerateRequest } from "../../src/edge/request.ts";
import { type CriaError, type GenerateOptions, Llama, Tokenizer, UsageError } from "../../src/mod.ts";
import { samplingParams } from "../../src/sample/registry.ts";
import { trainTokenizer } from "../../src/tokenizer/train/train.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";

const tiny = tinyLlamaGguf().bytes;
const llama = await Llama.load(tiny, { threads: 1 });
after(() => llama.dispose());

/** Calls with any options: what JavaScript callers may write. */
type Call = (options: never) => unknown;

/** Every function of the library that takes options, by what its errors say cannot be done. */
const calls: [action: string, call: Call, aKnownName: string][] = [
  ["load", (options) => Llama.load(tiny, options), "maxBytes"],
  ["generate", (options) => llama.generate("x", options).next(), "maxTokens"],
  ["generate", (options) => llama.complete("x", options), "maxTokens"],
  ["generate", (options) => llama.session().generate("x", options).next(), "maxTokens"],
  ["generate", (options) => llama.session().complete("x", options), "maxTokens"],
  ["resume", (options) => llama.session().resume(options).next(), "stopOnAbort"],
  ["append", (options) => llama.session().append("x", options), "special"],
  ["score", (options) => llama.perplexity("in the", options), "window"],
  ["load the tokenizer", (options) => Tokenizer.load(tiny, options), "pattern"],
  ["encode", async (options) => llama.tokenizer.encode("x", options), "special"],
  ["encode", async (options) => llama.tokenizer.encodeWithOffsets("x", options), "special"],
  ["decode", async (options) => llama.tokenizer.decode([5], options), "special"],
  ["decode", async (options) => llama.tokenizer.decodeBytes([5], options), "special"],
  ["decode", async (options) => llama.tokenizer.bytes(5, options), "special"],
  ["stream", async (options) => llama.tokenizer.stream(options), "afterText"],
  ["train", (options) => trainTokenizer(options), "vocabSize"],
];

async function refusal(run: () => unknown): Promise<string> {
  let error: unknown;
  try {
    await run();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof UsageError, `${run}: ${error}`);
  return error.message;
}

describe("options", () => {
  it("of unknown names are refused everywhere, with the nearest name", async () => {
    for (const [action, call, known] of calls) {
      const run = (options: object) => refusal(() => call(options as never));
      const mistyped = `${known.slice(0, -1)}_`;
      assert.equal(
        await run({ [mistyped]: undefined }),
        `Cannot ${action}: Unknown option "${mistyped}"; did you mean ${known}?`,
      );
      const snake = known.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      if (snake !== known) assert.match(await run({ [snake]: 1 }), new RegExp(`did you mean ${known}\\?$`));
      assert.match(
        await run({ nobodyKnowsThis: 1 }),
        new RegExp(`^Cannot ${action}: Unknown option "nobodyKnowsThis"; known options: .*\\b${known}\\b`),
      );
    }
  });

  it("that are no object are refused everywhere", async () => {
    for (const [action, call] of calls) {
      for (const [options, got] of [
        [null, "null"],
        ["fast", '"fast"'],
        [5, "5"],
        [[], "an array"],
        [true, "true"],
      ]) {
        assert.equal(
          await refusal(() => call(options as never)),
          `Cannot ${action}: Expected an object of options, got ${got}`,
        );
      }
    }
  });

  it("given as undefined have their defaults", async () => {
    const names = ["maxTokens", "stop", "ignoreEos", "special", "logprobs", "signal", "stopOnAbort"];
    const undefinedOnes = Object.fromEntries(
      [...names, ...samplingParams.map(({ key }) => key)].map((name) => [name, undefined]),
    );
    const { logprob } = (await llama.generate("in", undefinedOnes).next()).value as { logprob: number };
    assert.ok(logprob < 0);
    assert.ok((await llama.complete("in", { ...undefinedOnes, maxTokens: 2 })).ids.length > 0);
    assert.ok(
      (await llama.perplexity("in the hen", { window: undefined, special: undefined } as object)).nll > 0,
    );
    await llama.session().append("x", { signal: undefined, special: undefined } as object);
  });

  it("of the wrong type, and null, are refused with what they may be and what they are", async () => {
    const integers = [-1, 1.5, "3", Number.NaN, {}, true, 3n];
    const booleans = [0, 1, "true", {}];
    const signals = [{}, new AbortController(), "now", true, 5, { aborted: false }];
    const cases: [name: keyof GenerateOptions, values: unknown[]][] = [
      ["maxTokens", [...integers, Number.POSITIVE_INFINITY]],
      ["stop", [5, "", [""], ["a", ""], [5], [undefined], {}, true, new Set(["a"]), "\ud83d", ["a\udc00"]]],
      ["ignoreEos", booleans],
      ["special", booleans],
      ["stopOnAbort", booleans],
      ["signal", signals],
      ["logprobs", [-1, 0.5, "5", {}, Number.NaN]],
      ["seed", [...integers, 2 ** 53]],
      ["topK", integers],
      ["topP", [-0.1, 1.1, "1", {}, true, Number.NaN]],
      ["minP", [-0.1, 1.1, "1", {}]],
      ["temperature", [-1, "0.8", Number.POSITIVE_INFINITY, {}]],
      ["repeatPenalty", [0, -1, "1", {}]],
    ];
    for (const [name, values] of cases) {
      for (const value of [...values, null]) {
        for (const run of [
          () => llama.complete("in", { [name]: value }),
          () => llama.generate("in", { [name]: value }).next(),
          () =>
            llama
              .session()
              .generate("in", { [name]: value })
              .next(),
        ]) {
          assert.match(
            await refusal(run),
            new RegExp(`^Cannot (generate|sample): Expected .*${name} .*, got `),
          );
        }
      }
    }
    assert.match(await refusal(() => llama.complete("in", { maxTokens: "3" as never })), /got "3"$/);
    for (const value of [...signals, null]) {
      for (const call of [
        () => llama.session().append("x", { signal: value as AbortSignal }),
        () =>
          llama
            .session()
            .resume({ signal: value as AbortSignal })
            .next(),
        () => Llama.load(tiny, { signal: value as AbortSignal }),
        () => Tokenizer.load(tiny, { signal: value as AbortSignal }),
        () => trainTokenizer({ modelType: "bpe", vocabSize: 9, corpus: [], signal: value as AbortSignal }),
      ]) {
        assert.match(await refusal(call), /Expected signal to be .*, got /);
      }
    }
    for (const [name, value] of [
      ["onProgress", 5],
      ["onProgress", null],
      ["workerUrl", 5],
      ["tokenizer", null],
      ["sha256", null],
      ["cache", null],
      ["http", null],
    ]) {
      const got = new RegExp(`${name}.*got |with ${name} `);
      assert.match(await refusal(() => Llama.load(tiny, { [name as string]: value })), got);
    }
    for (const window of [0, -1, 1.5, "8", null, Number.NaN]) {
      assert.match(await refusal(() => llama.perplexity("in the", { window: window as number })), /window/);
    }
  });

  it("topP 0 keeps the likeliest token, here and on the command line and at the edge", async () => {
    const greedy = await llama.complete("in the", { temperature: 0, maxTokens: 20 });
    const options = { temperature: 3, topK: 0, topP: 0, maxTokens: 20 };
    assert.deepEqual((await llama.complete("in the", options)).ids, greedy.ids);
    const wish = readGenerateRequest(
      '{"prompt":"in the","temperature":3,"top_k":0,"top_p":0,"max_tokens":20}',
      99,
    );
    assert.deepEqual(wish, { prompt: "in the", options: { ...options, logprobs: false } });
    const topP = samplingParams.find(({ key }) => key === "topP");
    assert.ok(topP?.kind === "number");
    assert.equal(numberFlag(topP.flag, topP.valueName, topP.help, topP).read("0", undefined), 0);
  });

  it("of http are looked at too", async () => {
    const load = (http: object) => refusal(() => Llama.load(tiny, { http }));
    assert.equal(
      await load({ retry: 3 }),
      'Cannot load with http: Unknown option "retry"; known options: headers, retries, retryMs, idleMs',
    );
    assert.match(await load({ retry_ms: 3 }), /did you mean retryMs\?$/);
    const secret = "Bearer not-to-be-printed";
    for (const headers of [
      new Headers({ a: secret }),
      new Map([["a", secret]]),
      ["a", secret],
      { a: undefined },
      null,
    ]) {
      const message = await load({ headers });
      assert.match(message, /^Cannot load with http\.headers .*: Expected an object of names and values/);
      assert.doesNotMatch(message, /printed/);
    }
    assert.match(
      await refusal(() => Tokenizer.load(tiny, { http: { idle: 1 } as object })),
      /with http: Unknown/,
    );
  });

  it("of a session that are refused leave it as it was", async () => {
    using session = llama.session();
    await session.append("in the");
    const { ids } = session;
    await refusal(() => session.complete(" hen", { maxToken: 1 } as object));
    await refusal(() => session.complete(" hen", { stop: [""] }));
    await refusal(() => session.complete([1, -1]));
    await refusal(() => session.append([5, 1e6]));
    assert.deepEqual(session.ids, ids);
  });

  it("of a training are those of its model type, and of their types", async () => {
    const bpe = { modelType: "bpe", vocabSize: 20, corpus: ["hello world\n"] } as const;
    const train = (options: object) => refusal(() => trainTokenizer({ ...bpe, ...options } as never));
    assert.match(await train({ pattern: "gpt-2" }), /with modelType bpe: Unknown option "pattern"/);
    assert.match(
      await train({ modelType: "byte-bpe", vocabSize: 300, byteFallback: true }),
      /with modelType byte-bpe: Unknown option "byteFallback"/,
    );
    for (const name of ["byteFallback", "splitDigits", "addDummyPrefix", "hardVocabLimit"]) {
      for (const value of [1, "yes", null])
        assert.match(await train({ [name]: value }), new RegExp(`${name} to be`));
    }
    assert.match(
      await train({ userDefinedSymbols: "ab" }),
      /userDefinedSymbols to be an array of texts, got "ab"/,
    );
    assert.match(await train({ seedSize: null }), /seedSize to be .*, got null/);
    assert.match(
      await train({ corpus: new Uint8Array(9) }),
      /corpus to be iterable, got bytes; pass \[bytes\]/,
    );
  });
});

describe("arguments", () => {
  it("of the wrong type are typed errors", async () => {
    const { tokenizer } = llama;
    const any = (value: unknown) => value as never;
    for (const text of [5, null, undefined, {}, ["a"], 5n]) {
      assert.match(
        await refusal(async () => tokenizer.encode(any(text))),
        /^Cannot encode: Expected a text, got /,
      );
      assert.match(await refusal(async () => tokenizer.encodeWithOffsets(any(text))), /Expected a text/);
    }
    for (const ids of [5, null, undefined, {}, "abc"]) {
      assert.match(
        await refusal(async () => tokenizer.decode(any(ids))),
        /^Cannot decode: Expected an array of ids/,
      );
      assert.match(await refusal(async () => tokenizer.decodeBytes(any(ids))), /Expected an array of ids/);
      if (ids !== "abc")
        assert.match(await refusal(() => llama.logits(any(ids))), /Expected an array of ids, got /);
    }
    for (const ids of [[Symbol("x")], ["1"], [1n], [null]]) {
      assert.match(
        await refusal(() => llama.logits(any(ids))),
        /Expected ids in \[0, 300\), got .* at index 0$/,
      );
    }
    for (const pos of [Symbol("x"), "1", null, undefined, 1n]) {
      assert.match(
        await refusal(async () => llama.session().rollback(any(pos))),
        /Expected a position in \[0, 0\]/,
      );
    }
    for (const bytes of [null, undefined, 5, new ArrayBuffer(64)]) {
      assert.throws(
        () => llama.restore(any(bytes)),
        ({ code }: CriaError) => code === "SNAPSHOT",
      );
    }
  });
});
