// Generations: their tokens, their texts, their ends.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { statSync } from "node:fs";
import { describe, it } from "node:test";
import { ContextError, EngineError, Llama, type Piece, UsageError } from "../../src/mod.ts";
import { meta, metaArray, tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { tokenizerBin } from "../support/llama2c_writer.ts";
import { embeddedModel } from "../support/models.ts";

const greedy = { temperature: 0 } as const;

async function collect(generation: AsyncGenerator<Piece, unknown>): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of generation) pieces.push(piece);
  return pieces;
}

describe("Llama.generate()", () => {
  it("streams what complete() returns", async () => {
    await using llama = await Llama.load(embeddedModel);
    const prompt = "Once upon a time";
    const whole = await llama.complete(prompt, { ...greedy, maxTokens: 40 });
    const pieces = await collect(llama.generate(prompt, { ...greedy, maxTokens: 40 }));
    assert.equal(pieces.map((piece) => piece.text).join(""), whole.text);
    assert.deepEqual(
      pieces.map((piece) => piece.id),
      whole.ids,
    );
    assert.match(whole.text, /^, there was a little/);
    assert.equal(whole.finishReason, "length");
    assert.deepEqual(whole.usage, { promptTokens: 5, cachedTokens: 0, generatedTokens: 40 });
    const { loadMs, prefillMs, decodeMs, prefillTps, decodeTps } = whole.timings;
    for (const value of [loadMs, prefillMs, decodeMs, prefillTps, decodeTps]) assert.ok(value > 0);
    assert.equal(
      llama.tokenizer.decode(llama.tokenizer.encode(prompt).concat(whole.ids)),
      prompt + whole.text,
    );
  });

  it("gives log-probabilities of the model before any sampler", async () => {
    await using llama = await Llama.load(embeddedModel);
    const prompt = "One day, a little";
    const options = { temperature: 1.5, topK: 5, repeatPenalty: 1.3, seed: 3, maxTokens: 8 };
    const pieces = await collect(llama.generate(prompt, options));
    const ids = llama.tokenizer.encode(prompt);
    for (const { id, logprob } of pieces) {
      const logits = await llama.logits(ids);
      const top = Math.max(...logits);
      const sum = logits.reduce((total, x) => total + Math.exp(x - top), 0);
      assert.ok(Math.abs(logprob - ((logits[id] as number) - top - Math.log(sum))) < 1e-5);
      ids.push(id);
    }
    const without = await collect(llama.generate(prompt, { ...options, logprobs: false }));
    assert.deepEqual(
      without.map(({ id }) => id),
      pieces.map(({ id }) => id),
    );
    assert.ok(
      without.every(({ logprob, alternatives }) => Number.isNaN(logprob) && alternatives.length === 0),
    );
  });

  it("gives log-probabilities among all rows of a model that has more of them than tokens", async () => {
    const { pieces: texts, scores, types } = tinyVocab();
    const metadata = {
      "tokenizer.ggml.tokens": metaArray("string", texts.slice(0, 290)),
      "tokenizer.ggml.scores": metaArray("f32", scores.slice(0, 290)),
      "tokenizer.ggml.token_type": metaArray("i32", types.slice(0, 290)),
    };
    await using llama = await Llama.load(tinyLlamaGguf({ metadata }).bytes, { threads: 1 });
    assert.deepEqual([llama.tokenizer.vocabSize, llama.config.vocabSize], [290, 300]);
    const options = { maxTokens: 6, seed: 4, ignoreEos: true, logprobs: 290 };
    const pieces = await collect(llama.generate("the", options));
    const ids = llama.tokenizer.encode("the");
    for (const { id, logprob, alternatives } of pieces) {
      const logits = await llama.logits(ids);
      const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
      assert.ok(Math.abs(logprob - ((logits[id] as number) - total)) < 1e-5);
      assert.equal(alternatives.length, 290);
      const tokens = alternatives.reduce((sum, each) => sum + Math.exp(each.logprob), 0);
      const others = logits.slice(290).reduce((sum, x) => sum + Math.exp(x - total), 0);
      assert.ok(others > 1e-3 && Math.abs(tokens + others - 1) < 1e-5, `${tokens} + ${others}`);
      ids.push(id);
    }
  });

  it("gives the alternatives of each token where asked for", async () => {
    await using llama = await Llama.load(embeddedModel);
    const options = { temperature: 1.5, seed: 3, maxTokens: 8 };
    const plain = await collect(llama.generate("One day", options));
    assert.ok(plain.every(({ alternatives }) => alternatives.length === 0));
    const pieces = await collect(llama.generate("One day", { ...options, logprobs: 5 }));
    const ids = llama.tokenizer.encode("One day");
    for (const [i, { id, logprob, alternatives }] of pieces.entries()) {
      assert.equal(id, plain[i]?.id);
      assert.equal(logprob, plain[i]?.logprob);
      const logits = await llama.logits(ids);
      const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
      assert.deepEqual(
        alternatives.map((alternative) => alternative.id),
        order.slice(0, 5),
      );
      const own = alternatives.find((alternative) => alternative.id === id);
      if (own) assert.equal(own.logprob, logprob);
      ids.push(id);
    }
    for (const logprobs of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "5" as unknown as number]) {
      await assert.rejects(llama.complete("One day", { ...options, logprobs }), UsageError);
    }
    assert.equal((await llama.complete("One day", { ...options, logprobs: 0 })).ids.length, 8);
  });

  it("repeats itself with a seed and varies with another", async () => {
    await using llama = await Llama.load(embeddedModel);
    const run = (seed?: number) =>
      llama.complete("Once", {
        temperature: 1,
        topK: 0,
        topP: 1,
        maxTokens: 24,
        ...(seed !== undefined && { seed }),
      });
    const [a, b, c] = [await run(7), await run(7), await run(8)];
    assert.deepEqual(a.ids, b.ids);
    assert.notDeepEqual(a.ids, c.ids);
    assert.notDeepEqual((await run()).ids, (await run()).ids);
  });

  it("never emits half a character", async () => {
    // Random weights over byte tokens: almost every character is broken or several tokens long.
    await using llama = await Llama.load(tinyLlamaGguf().bytes);
    const pieces = await collect(
      llama.generate("", { temperature: 5, topK: 0, topP: 1, seed: 11, maxTokens: 100, ignoreEos: true }),
    );
    const text = pieces.map((piece) => piece.text).join("");
    const ids = pieces.map((piece) => piece.id);
    assert.equal(text, llama.tokenizer.decode([1, ...ids]));
    assert.ok(pieces.some((piece) => piece.text === ""));
    for (const piece of pieces) assert.ok(piece.text.isWellFormed());
  });

  it("stops at a stop string that several tokens make, and holds its beginning back", async () => {
    await using llama = await Llama.load(embeddedModel);
    const whole = (await llama.complete("Once upon a time", { ...greedy, maxTokens: 60 })).text;
    const stop = whole.slice(25, 35);
    const pieces = await collect(
      llama.generate("Once upon a time", { ...greedy, maxTokens: 60, stop: [stop, "never here"] }),
    );
    assert.equal(pieces.map((piece) => piece.text).join(""), whole.slice(0, whole.indexOf(stop)));
    const result = await llama.complete("Once upon a time", { ...greedy, maxTokens: 60, stop });
    assert.equal(result.finishReason, "stop");
    assert.equal(result.text, whole.slice(0, whole.indexOf(stop)));
    // A stop string that only begins is let through at the end.
    const begun = await llama.complete("Once upon a time", { ...greedy, maxTokens: 10, stop: "\u0000" });
    const cut = await llama.complete("Once upon a time", { ...greedy, maxTokens: 10 });
    const tail = await llama.complete("Once upon a time", {
      ...greedy,
      maxTokens: 10,
      stop: `${cut.text.slice(-1)}never`,
    });
    assert.equal(begun.text, cut.text);
    assert.equal(tail.text, cut.text);
  });

  it("ends at an end-of-text token, and goes on where that is ignored", async () => {
    // The third token of the greedy text is declared to be the end.
    await using plain = await Llama.load(tinyLlamaGguf().bytes);
    const free = await plain.complete("in the", { ...greedy, maxTokens: 12 });
    const eos = free.ids[3] as number;
    const file = tinyLlamaGguf({ metadata: { "tokenizer.ggml.eos_token_id": meta("u32", eos) } });
    await using llama = await Llama.load(file.bytes);
    const first = free.ids.indexOf(eos);
    const ended = await llama.complete("in the", { ...greedy, maxTokens: 12 });
    assert.equal(ended.finishReason, "eos");
    assert.deepEqual(ended.ids, free.ids.slice(0, first + 1));
    const ignored = await llama.complete("in the", { ...greedy, maxTokens: 12, ignoreEos: true });
    assert.deepEqual(ignored.ids, free.ids);
  });

  it("ends with reason context when the context is full", async () => {
    await using llama = await Llama.load(embeddedModel, { contextLength: 16 });
    const result = await llama.complete("Once upon a time", { ...greedy, ignoreEos: true });
    assert.equal(result.finishReason, "context");
    // 5 tokens of prompt leave 11 positions; the last token is drawn from the 16th and never fed.
    assert.equal(result.usage.generatedTokens, 12);
    const full = "Once upon a time there was a little girl who had a big red ball and";
    const ids = llama.tokenizer.encode(full);
    assert.ok(ids.length >= 16);
    const fits = llama.tokenizer.decode(ids.slice(0, 16));
    assert.equal(llama.tokenizer.encode(fits).length, 16);
    assert.equal((await llama.complete(fits, greedy)).usage.generatedTokens, 1);
    await assert.rejects(llama.complete(`${fits} very long`, greedy), (error) => {
      assert.ok(error instanceof ContextError);
      assert.match(error.message, /Expected a prompt of at most 16 tokens .*, got 1[78]/);
      return true;
    });
  });

  it("generates nothing for maxTokens 0", async () => {
    await using llama = await Llama.load(embeddedModel);
    const result = await llama.complete("Once", { maxTokens: 0 });
    assert.deepEqual([result.text, result.ids, result.finishReason], ["", [], "length"]);
  });

  it("runs several generations at once, each as if alone", async () => {
    await using llama = await Llama.load(embeddedModel, { contextLength: 64 });
    const prompts = ["Once upon a time", "One day, a little", "The king said", "Lily"];
    const options = { ...greedy, maxTokens: 30, ignoreEos: true };
    const alone: string[] = [];
    for (const prompt of prompts) alone.push((await llama.complete(prompt, options)).text);
    const together = await Promise.all(prompts.map((prompt) => llama.complete(prompt, options)));
    assert.deepEqual(
      together.map(({ text }) => text),
      alone,
    );
  });

  it("can be left early, again and again", async () => {
    await using llama = await Llama.load(embeddedModel, { contextLength: 64 });
    const before = llama.memoryBytes;
    for (let i = 0; i < 50; i++) {
      for await (const piece of llama.generate("Once upon a time", greedy)) {
        assert.ok(piece.id >= 0);
        break;
      }
    }
    assert.equal(llama.memoryBytes, before, "pages of abandoned generations come back");
  });

  it("ends with the signal's reason when it is aborted", async () => {
    await using llama = await Llama.load(embeddedModel);
    const reason = new Error("enough");
    await assert.rejects(llama.complete("Once", { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    let pieces = 0;
    await assert.rejects(async () => {
      for await (const _ of llama.generate("Once", { signal: controller.signal, ignoreEos: true })) {
        if (++pieces === 5) controller.abort(reason);
      }
    }, reason);
    assert.equal(pieces, 5);
    // A timer's abort arrives although the consumer never waits for anything else.
    await assert.rejects(llama.complete("Once", { signal: AbortSignal.timeout(5), ignoreEos: true }), {
      name: "TimeoutError",
    });
    assert.equal((await llama.complete("Once", { maxTokens: 3 })).ids.length, 3, "the model still works");
  });

  it("refuses arguments that make no sense", async () => {
    await using llama = await Llama.load(embeddedModel);
    const refuse = (options: object, message: RegExp, prompt: unknown = "x") =>
      assert.rejects(llama.complete(prompt as string, options), (error) => {
        assert.ok(error instanceof UsageError, String(error));
        assert.match(error.message, message);
        return true;
      });
    await refuse({ maxTokens: -1 }, /maxTokens .* got -1/);
    await refuse({ maxTokens: 1.5 }, /maxTokens .* got 1.5/);
    await refuse({ topP: -1 }, /topP/);
    await refuse({ temperature: Number.NaN }, /temperature/);
    await refuse({ repeatPenalty: 0 }, /repeatPenalty/);
    await refuse({ stop: 7 }, /stop/);
    await refuse({}, /a prompt that is a string, an array of ids, .*, got 5$/, 5);
  });
});

describe("Llama", () => {
  it("dispose() ends everything and can be called twice", async () => {
    const llama = await Llama.load(embeddedModel);
    const generation = llama.generate("Once", { ignoreEos: true });
    await generation.next();
    llama.dispose();
    llama.dispose();
    await assert.rejects(generation.next(), EngineError);
    await assert.rejects(llama.complete("Once"), EngineError);
    assert.throws(() => llama.memoryBytes, EngineError);
  });

  it("load() takes bytes, a Blob, a stream, a URL and a path", async () => {
    const { bytes } = tinyLlamaGguf();
    const source = (bytes: Uint8Array<ArrayBuffer>) => [
      new Blob([bytes]),
      new Blob([bytes]).stream(),
      new URL(`data:application/octet-stream;base64,${Buffer.from(bytes).toString("base64")}`),
      URL.createObjectURL(new Blob([bytes])),
    ];
    const expected = await (await Llama.load(bytes)).logits([1, 5, 9]);
    for (const form of source(bytes)) {
      await using llama = await Llama.load(form);
      assert.deepEqual(await llama.logits([1, 5, 9]), expected);
    }
  });

  it("load() takes the tokenizer from a file where the model has none", async () => {
    const keys = ["model", "tokens", "scores", "token_type", "bos_token_id", "eos_token_id"].map(
      (key) => [`tokenizer.ggml.${key}`, undefined] as const,
    );
    const { bytes } = tinyLlamaGguf({ metadata: Object.fromEntries(keys) });
    await assert.rejects(Llama.load(bytes), { code: "TOKENIZER", message: /--tokenizer/ });
    await using with_ = await Llama.load(bytes, { tokenizer: tokenizerBin(tinyVocab()) });
    await using own = await Llama.load(tinyLlamaGguf().bytes);
    const text = "then the hen and the king";
    assert.deepEqual(with_.tokenizer.encode(text), own.tokenizer.encode(text));
  });

  it("load() reports its progress up to the end", async () => {
    const seen: number[] = [];
    let total = 0;
    await using _ = await Llama.load(embeddedModel, {
      onProgress: ({ loadedBytes, totalBytes }) => {
        seen.push(loadedBytes);
        total = totalBytes;
      },
    });
    assert.ok(seen.length > 3);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(seen.at(-1), total);
    const { size } = statSync(embeddedModel);
    assert.ok(total > 0.9 * size && total <= size, `${total} of ${size} bytes`);
  });

  it("load() can be aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const loading = Llama.load(embeddedModel, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await assert.rejects(loading, reason);
  });

  it("logits() and perplexity() refuse what does not fit", async () => {
    await using llama = await Llama.load(embeddedModel, { contextLength: 32 });
    await assert.rejects(llama.logits([]), ContextError);
    await assert.rejects(llama.logits(Array(33).fill(1)), ContextError);
    await assert.rejects(llama.logits([1, 4096]), UsageError);
    await assert.rejects(llama.logits([1, -1]), UsageError);
    await assert.rejects(llama.perplexity("text", { window: 33 }), ContextError);
    await assert.rejects(llama.perplexity(""), UsageError);
    assert.ok((await llama.perplexity("Once upon a time there was a king")).nll < 5);
  });
});
