// What a stop string leaves in a session.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Completion, type GenerateOptions, Llama, type Piece } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel } from "../support/models.ts";

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function load(source: URL | Uint8Array): Promise<Llama> {
  const llama = await Llama.load(source, { threads: 1, contextLength: 128 });
  loaded.push(llama);
  return llama;
}

async function take(generation: AsyncGenerator<Piece, Completion>, n: number): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of generation) if (pieces.push(piece) >= n) break;
  return pieces;
}

/** The fewest first ids of a continuation whose text, as it becomes certain, has `text` in it. */
function needed(llama: Llama, ids: readonly number[], text: string, afterText: boolean): number[] {
  const stream = llama.tokenizer.stream({ afterText });
  let length = 0;
  let n = 0;
  while (length < text.length) length += stream.push(ids[n++] as number).length;
  return ids.slice(0, n);
}

const tales = await load(embeddedModel);
const greedy = { temperature: 0, maxTokens: 40, ignoreEos: true } as const;

describe("a stop string", () => {
  it("is taken off the session, wherever it begins and ends between and in tokens", async () => {
    const prompt = "Once upon a time";
    const before = tales.tokenizer.encode(prompt);
    const whole = await tales.complete(prompt, greedy);
    let straddling = 0;
    for (let begin = 0; begin < 40; begin++) {
      for (const length of [1, 3, 9]) {
        const stop = whole.text.slice(begin, begin + length);
        using session = tales.session();
        const result = await session.complete(prompt, { ...greedy, stop: ["never here", stop] });
        assert.equal(result.finishReason, "stop");
        assert.equal(result.stop, stop);
        assert.equal(result.text, whole.text.slice(0, whole.text.indexOf(stop)));
        assert.deepEqual(result.ids, whole.ids.slice(0, result.ids.length));
        assert.equal(result.usage.generatedTokens, result.ids.length);
        const kept = needed(tales, result.ids, result.text, true);
        assert.deepEqual(session.ids, [...before, ...kept]);
        assert.equal(session.resumable, false);
        // No token without seen text stays; one with some stays whole.
        const text = tales.tokenizer.decode(session.ids);
        assert.ok(text.startsWith(prompt + result.text));
        if (text.length > prompt.length + result.text.length) straddling++;
      }
    }
    assert.ok(straddling > 5, `${straddling}`);
  });

  it("leaves keys and values as if it had never come", async () => {
    const prompt = "Once upon a time";
    const whole = await tales.complete(prompt, greedy);
    for (const begin of [0, 1, 12, 25, 50, 90]) {
      using session = tales.session();
      await session.complete(prompt, { ...greedy, stop: whole.text.slice(begin, begin + 7) });
      using fresh = tales.session();
      await fresh.append(session.ids);
      using restored = tales.restore(session.save());
      const next = { ...greedy, maxTokens: 5, repeatPenalty: 1.2 };
      const expected = await fresh.complete(" But", next);
      assert.deepEqual((await restored.complete(" But", next)).ids, expected.ids);
      assert.deepEqual((await session.complete(" But", next)).ids, expected.ids);
      assert.deepEqual(session.ids, fresh.ids);
      assert.deepEqual(session.save(), fresh.save());
    }
  });

  it("that came in part before the generation was left is taken off after it is resumed", async () => {
    const prompt = "Once upon a time";
    const whole = await tales.complete(prompt, greedy);
    const stop = whole.text.slice(20, 41);
    const options: GenerateOptions = { ...greedy, stop };
    using expected = tales.session();
    const { ids, text } = await expected.complete(prompt, options);
    for (let n = 1; n < ids.length; n++) {
      using session = tales.session();
      const pieces = await take(session.generate(prompt, options), n);
      using fork = session.fork();
      using restored = tales.restore(session.save());
      for (const one of [session, fork, restored]) {
        let rest = "";
        for await (const piece of one.resume()) rest += piece;
        assert.equal(pieces.join("") + rest, text);
        assert.deepEqual(one.ids, expected.ids, `left after ${n} of ${ids.length}`);
      }
    }
  });

  it("made of bytes of characters is taken off too, to the first text alone", async () => {
    // Random weights over byte tokens: almost every character is broken or several tokens long.
    const tiny = await load(tinyLlamaGguf().bytes);
    const wild = { temperature: 5, topK: 0, topP: 1, seed: 11, maxTokens: 60, ignoreEos: true };
    const whole = await tiny.complete("", wild);
    const characters = [...whole.text];
    for (let i = 0; i + 2 < characters.length; i += 2) {
      const stop = characters.slice(i, i + 2).join("");
      using session = tiny.session();
      const result = await session.complete("", { ...wild, stop });
      assert.equal(result.finishReason, "stop");
      assert.equal(result.stop, stop);
      assert.deepEqual(session.ids, [1, ...needed(tiny, result.ids, result.text, false)]);
    }
  });

  it("that the end of a broken character completes ends the generation as one", async () => {
    const tiny = await load(tinyLlamaGguf().bytes);
    const wild = { temperature: 5, topK: 0, topP: 1, seed: 11, ignoreEos: true };
    for (let maxTokens = 1; maxTokens < 40; maxTokens++) {
      const { text } = await tiny.complete("", { ...wild, maxTokens });
      if (!text.endsWith("\ufffd") || text.indexOf("\ufffd") !== text.length - 1) continue;
      const result = await tiny.complete("", { ...wild, maxTokens, stop: "\ufffd" });
      assert.deepEqual(
        [result.text, result.finishReason, result.stop],
        [text.slice(0, -1), "stop", "\ufffd"],
      );
      return;
    }
    assert.fail("no text ends with its first U+FFFD");
  });

  it("is said where there was one, and only there", async () => {
    assert.equal("stop" in (await tales.complete("Once", { ...greedy, stop: ["never here"] })), false);
    const { text } = await tales.complete("Once", greedy);
    const word = text.slice(5, 9);
    assert.equal((await tales.complete("Once", { ...greedy, stop: ["zzz", word] })).stop, word);
  });
});

describe("an end-of-text token", () => {
  it("stays in the session", async () => {
    using session = tales.session();
    const { ids, finishReason } = await session.complete("Once upon a time", { temperature: 0 });
    if (finishReason === "eos") assert.ok(tales.tokenizer.eosIds.includes(session.ids.at(-1) as number));
    assert.deepEqual(session.ids.slice(-ids.length), ids);
  });
});
