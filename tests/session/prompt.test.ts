// Prompts as text, as text with special tokens, and as ids.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  type Completion,
  Llama,
  type Piece,
  type Prompt,
  UnsupportedError,
  UsageError,
} from "../../src/mod.ts";
import { metaArray, tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { embeddedModel } from "../support/models.ts";

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function load(source: URL | Uint8Array, contextLength = 128): Promise<Llama> {
  const llama = await Llama.load(source, { threads: 1, contextLength });
  loaded.push(llama);
  return llama;
}

const tales = await load(embeddedModel);
const greedy = { temperature: 0, maxTokens: 12, ignoreEos: true } as const;

async function take(generation: AsyncGenerator<Piece, Completion>, n = Infinity): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of generation) {
    pieces.push(piece);
    if (pieces.length >= n) break;
  }
  return pieces;
}

async function refused(run: () => Promise<unknown>, message: RegExp, type = UsageError): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof type, String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("a prompt of ids", () => {
  it("gives what its text gives, in arrays and typed arrays", async () => {
    for (const text of ["", " ", "Once upon a time", "é😀"]) {
      const ids = tales.tokenizer.encode(text);
      const expected = await take(tales.generate(text, greedy));
      for (const prompt of [ids, Int32Array.from(ids), Uint32Array.from(ids), Uint16Array.from(ids)]) {
        assert.deepEqual(await take(tales.generate(prompt, greedy)), expected, `${JSON.stringify(text)}`);
      }
      const { usage } = await tales.complete(ids, greedy);
      assert.deepEqual(usage, { promptTokens: ids.length, cachedTokens: 0, generatedTokens: 12 });
      assert.deepEqual(
        await tales.perplexity([...ids, 552, 497]),
        await tales.perplexity(Int32Array.from([...ids, 552, 497])),
      );
    }
    const text = "Once upon a time there was a king";
    assert.deepEqual(await tales.perplexity(tales.tokenizer.encode(text)), await tales.perplexity(text));
  });

  it("is taken as it is, without BOS, wherever it stands in a session", async () => {
    using session = tales.session();
    const ids = tales.tokenizer.encode("Once upon", { bos: false });
    await session.append(ids);
    await session.append([]);
    await session.append(Uint32Array.of(1));
    await session.complete(ids, { ...greedy, maxTokens: 0 });
    assert.deepEqual(session.ids, [...ids, 1, ...ids]);
    const logits = await tales.logits(session.ids);
    const { ids: next } = await session.complete([], { ...greedy, maxTokens: 1 });
    assert.deepEqual(next, [logits.indexOf(Math.max(...logits))]);
  });

  it("may be changed by the caller afterwards", async () => {
    using session = tales.session();
    const ids = tales.tokenizer.encode("Once upon");
    const kept = [...ids];
    const generation = session.generate(ids, greedy);
    await generation.next();
    ids.fill(0);
    assert.deepEqual(session.ids.slice(0, kept.length), kept);
  });

  it("is saved, restored and resumed", async () => {
    const ids = tales.tokenizer.encode("One day, a little");
    const expected = await take(tales.generate(ids, greedy));
    for (const cut of [1, 5, 11]) {
      using session = tales.session();
      const pieces = await take(session.generate(Int32Array.from(ids), greedy), cut);
      using restored = tales.restore(session.save());
      assert.deepEqual([...pieces, ...(await take(restored.resume()))], expected);
    }
  });

  it("keeps the space that its continuation begins with after text only", async () => {
    for (const prompt of [[1], [1, 1], "", Int32Array.of(1)]) {
      const { text, ids } = await tales.complete(prompt as Prompt, greedy);
      assert.equal(text, tales.tokenizer.decode(ids));
    }
    const ids = tales.tokenizer.encode("Once");
    const { text, ids: more } = await tales.complete(ids, greedy);
    assert.equal(`Once${text}`, tales.tokenizer.decode([...ids, ...more]));
  });

  it("is refused where ids are none of the vocabulary, with the index", async () => {
    const size = tales.config.vocabSize;
    for (const run of [
      (prompt: Prompt) => tales.complete(prompt),
      (prompt: Prompt) => tales.generate(prompt).next(),
      (prompt: Prompt) => tales.session().generate(prompt).next(),
      (prompt: Prompt) => tales.session().append(prompt),
      (prompt: Prompt) => tales.perplexity(prompt),
    ]) {
      for (const [id, got] of [
        [size, `${size}`],
        [-1, "-1"],
        [1.5, "1\\.5"],
        [Number.NaN, "NaN"],
        ["1", '"1"'],
        [1n, "1n"],
        [null, "null"],
        [undefined, "undefined"],
        [[1], "an array"],
      ]) {
        const message = new RegExp(`Expected ids in \\[0, ${size}\\), got ${got} at index 2$`);
        await refused(() => run([1, 5, id] as number[]), message);
      }
      // biome-ignore lint/suspicious/noSparseArray: a hole is what is tested
      await refused(() => run([1, , 5] as number[]), /got undefined at index 1$/);
      await refused(() => run(new Array(2 ** 32 - 1)), /got undefined at index 0$/);
      for (const [prompt, got] of [
        [null, "null"],
        [undefined, "undefined"],
        [5, "5"],
        [{ length: 2 }, "an object"],
        [new Uint8Array([79, 110]), "a Uint8Array"],
        [new Float32Array(2), "a Float32Array"],
        [new BigInt64Array(2), "a BigInt64Array"],
        [new DataView(new ArrayBuffer(4)), "a DataView"],
      ]) {
        const message = new RegExp(
          `Expected a prompt that is a string, an array of ids, .*Uint16Array, got ${got}$`,
        );
        await refused(() => run(prompt as unknown as Prompt), message);
      }
      const messages = [{ role: "user", content: "hi" }] as unknown as Prompt;
      await refused(
        () => run(messages),
        /has no chat template: it is a base model|Chat messages are not supported here/,
        UnsupportedError as never,
      );
    }
    for (const run of [() => tales.complete([]), () => tales.session().append([])]) {
      await refused(run, /Expected a prompt, got no ids$/);
    }
  });

  it("longer than the context is refused as texts are", async () => {
    const short = await load(embeddedModel, 16);
    await assert.rejects(short.complete(Array(17).fill(5)), {
      code: "CONTEXT",
      message: /Expected a prompt of at most 16 tokens \(the context length\), got 17$/,
    });
    assert.equal((await short.complete(Array(16).fill(5))).usage.promptTokens, 16);
  });

  it("may have the ids with which a model pads its vocabulary", async () => {
    const { pieces, scores, types } = tinyVocab(300);
    const padded = await load(
      tinyLlamaGguf({
        vocabSize: 310,
        metadata: {
          "tokenizer.ggml.tokens": metaArray("string", pieces),
          "tokenizer.ggml.scores": metaArray("f32", scores),
          "tokenizer.ggml.token_type": metaArray("i32", types),
        },
      }).bytes,
    );
    assert.deepEqual([padded.tokenizer.vocabSize, padded.config.vocabSize], [300, 310]);
    using session = padded.session();
    assert.equal((await session.complete([309, 305], { ...greedy, maxTokens: 3 })).ids.length, 3);
    assert.deepEqual(padded.restore(session.save()).ids, session.ids);
  });
});

describe("special: true", () => {
  it("parses special tokens of a text; without it they are text", async () => {
    const { tokenizer } = tales;
    const idsOf = async (text: string, special?: boolean) => {
      using session = tales.session();
      await session.append("One", special === undefined ? {} : { special });
      await session.append(text, special === undefined ? {} : { special });
      using generating = tales.session();
      await generating.complete("One", { maxTokens: 0 });
      await generating.complete(text, { maxTokens: 0, ...(special !== undefined && { special }) });
      assert.deepEqual(generating.ids, session.ids);
      return session.ids.slice(2);
    };
    for (const text of ["</s>Once<s>", "a<unk>b"]) {
      const plain = tokenizer.encode(text, { bos: false });
      const special = tokenizer.encode(text, { bos: false, special: true });
      assert.ok(special.length < plain.length);
      assert.deepEqual(await idsOf(text), plain);
      assert.deepEqual(await idsOf(text, false), plain);
      assert.deepEqual(await idsOf(text, true), special);
      const { tokens } = await tales.perplexity(`Once${text}`, { special: true });
      assert.equal(tokens, tokenizer.encode(`Once${text}`, { special: true }).length - 1);
    }
  });

  it("puts no second BOS before a text that begins with it", async () => {
    const bos = tales.tokenizer.bosId as number;
    const once = tales.tokenizer.encode("Once", { bos: false });
    for (const [text, expected] of [
      ["Once", [bos, ...once]],
      ["<s>Once", [bos, ...once]],
      ["<s>", [bos]],
      ["", [bos]],
      ["<s><s>Once", [bos, bos, ...once]],
    ] as const) {
      using session = tales.session();
      await session.append(text, { special: true });
      assert.deepEqual(session.ids, expected, text);
      const { usage } = await tales.complete(text, { special: true, maxTokens: 1 });
      assert.equal(usage.promptTokens, expected.length);
    }
    using later = tales.session();
    await later.append("<s>Once", { special: true });
    await later.append("<s>Once", { special: true });
    assert.deepEqual(later.ids, [bos, ...once, bos, ...once]);
    assert.equal(
      (await tales.complete("<s>Once", { ...greedy, special: true })).text,
      (await tales.complete("Once", greedy)).text,
    );
  });
});
