// Models with a byte-level vocabulary.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { byteLevelKeys } from "../support/byte_level_vocab.ts";
import { fixtureBytes } from "../support/fixtures.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { itOn, sharedBytes } from "../support/shared.ts";

const gpt2 = "vocabs/gpt-2.gguf";
const pieces = ["Ġt", "Ġth", "Ġthe", "<|endoftext|>"];
const merges = ["Ġ t", "Ġt h", "Ġth e"];

/** A model of 300 tokens, 40 of which the vocabulary has not, or of as many more as `more` says. */
function model(more = 0): Uint8Array<ArrayBuffer> {
  const rest = Array.from({ length: more }, (_, i) => `more${i}`);
  const keys = byteLevelKeys([...pieces, ...rest], merges, [1, 1, 1, 3, ...rest.map(() => 1)]);
  const metadata = Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
  );
  return tinyLlamaGguf({ metadata }).bytes;
}

describe("Llama.load() of a byte-level vocabulary", () => {
  it("complete() generates, the same with every number of threads", async () => {
    const options = { maxTokens: 24, temperature: 0, ignoreEos: true } as const;
    await using llama = await Llama.load(model(), { threads: 1 });
    assert.deepEqual(llama.tokenizer.encode("on the 中"), [0x6f, 0x6e, 258, 0x20, 0xe4, 0xb8, 0xad]);
    const { text, ids, usage } = await llama.complete("on the 中", options);
    assert.deepEqual([ids.length, usage.promptTokens], [24, 7]);
    assert.equal(llama.tokenizer.decode(ids), text);
    await using two = await Llama.load(model(), { tune: { threads: 2 } });
    assert.deepEqual((await two.complete("on the 中", options)).ids, ids);
  });

  it("complete() of an empty prompt begins with BOS, where texts do not", async () => {
    await using llama = await Llama.load(model(), { threads: 1 });
    assert.deepEqual(llama.tokenizer.encode(""), []);
    const options = { maxTokens: 3, temperature: 0, ignoreEos: true } as const;
    const { ids, usage } = await llama.complete("", options);
    assert.deepEqual([ids.length, usage.promptTokens], [3, 1]);
  });

  it("complete() parses special tokens of a prompt with special: true alone", async () => {
    await using llama = await Llama.load(model(), { threads: 1 });
    const text = "<|endoftext|>on<|endoftext|>";
    const count = async (special?: boolean) =>
      (await llama.complete(text, { maxTokens: 0, ...(special !== undefined && { special }) })).usage
        .promptTokens;
    assert.deepEqual([await count(), await count(false), await count(true)], [28, 28, 4]);
    using session = llama.session();
    await session.append(text, { special: true });
    assert.deepEqual(session.ids, [259, 0x6f, 0x6e, 259]);
  });

  it("generate() streams whole characters", async () => {
    await using llama = await Llama.load(model(), { threads: 1 });
    const ids: number[] = [];
    let text = "";
    for await (const piece of llama.generate("on", {
      maxTokens: 40,
      temperature: 3,
      topK: 0,
      topP: 1,
      seed: 5,
      ignoreEos: true,
    })) {
      ids.push(piece.id);
      text += piece.text;
    }
    assert.equal(ids.length, 40);
    assert.equal(llama.tokenizer.decode(ids), text);
  });

  it("Llama.load() takes a vocabulary smaller than the embedding, and refuses a larger one", async () => {
    await using padded = await Llama.load(model(), { threads: 1 });
    assert.equal(padded.tokenizer.vocabSize, 260);
    await using whole = await Llama.load(model(40), { threads: 1 });
    assert.equal(whole.tokenizer.vocabSize, 300);
    await assert.rejects(
      Llama.load(model(41), { threads: 1 }),
      /Expected a vocabulary of at most 300 tokens .*, got 301$/,
    );
  });

  const others = [
    { name: "gpt2.gguf", value: { bytes: () => fixtureBytes("gpt2.gguf"), size: 701 } },
    { name: gpt2, needs: [gpt2], value: { bytes: () => sharedBytes(gpt2), size: 50257 } },
  ];
  itOn(others, "Llama.load() takes a tokenizer of its own, if it fits", async ({ bytes, size }) => {
    const tokenizer = bytes();
    const large = tinyLlamaGguf({ vocabSize: size }).bytes;
    await using llama = await Llama.load(large, { threads: 1, tokenizer });
    assert.equal(llama.tokenizer.vocabSize, size);
    await assert.rejects(
      Llama.load(model(), { threads: 1, tokenizer }),
      new RegExp(`at most 300 tokens .*, got ${size}$`),
    );
  });
});
