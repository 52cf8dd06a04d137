// Aborts that end a generation without an error.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Completion, type GenerateOptions, Llama, type Piece } from "../../src/mod.ts";
import { embeddedModel } from "../support/models.ts";

const options = { temperature: 1.2, topK: 0, seed: 12, maxTokens: 14, ignoreEos: true } as const;
const prompt = "Once upon a time there was a king. ".repeat(18);

const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 256 });
after(() => llama.dispose());

/** A signal that is aborted when it is asked for the nth time. */
function abortedAt(n: number): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  let asked = 0;
  signal.throwIfAborted = () => {
    if (asked++ === n) controller.abort(new Error("enough"));
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  return signal;
}

async function run(
  generation: AsyncGenerator<Piece, Completion>,
): Promise<{ pieces: Piece[]; result: Completion }> {
  const pieces: Piece[] = [];
  for (;;) {
    const { done, value } = await generation.next();
    if (done) return { pieces, result: value };
    pieces.push(value);
  }
}

const textOf = (pieces: readonly Piece[]) => pieces.map(({ text }) => text).join("");

describe("stopOnAbort", () => {
  it("ends a generation with what there is, whenever the abort comes", async () => {
    const whole = await run(llama.generate(prompt, options));
    const promptTokens = llama.tokenizer.encode(prompt).length;
    assert.ok(promptTokens > 128, "the prompt takes several steps");
    const seen = new Set<number>();
    // How often a signal is asked in a step depends on the machine's speed: the last one that is aborted too.
    for (let n = 0; !seen.has(14); n++) {
      const settings = { ...options, signal: abortedAt(n), stopOnAbort: true };
      const { pieces, result } = await run(llama.generate(prompt, settings));
      seen.add(pieces.length);
      assert.deepEqual(pieces, whole.pieces.slice(0, pieces.length));
      assert.equal(result.finishReason, pieces.length === 14 ? "length" : "abort");
      assert.equal(result.text, textOf(pieces));
      assert.deepEqual(
        result.ids,
        pieces.map(({ id }) => id),
      );
      assert.deepEqual(result.usage, { promptTokens, cachedTokens: 0, generatedTokens: pieces.length });
    }
    assert.ok(seen.has(0) && seen.size > 7, [...seen].join(" "));
    const complete = await llama.complete(prompt, { ...options, signal: abortedAt(9), stopOnAbort: true });
    assert.equal(complete.finishReason, "abort");
    assert.ok(whole.result.text.startsWith(complete.text));
  });

  it("leaves a session resumable, with its prompt, and consistent", async () => {
    const whole = await run(llama.generate(prompt, options));
    for (const signal of [AbortSignal.abort(), abortedAt(0), abortedAt(1), abortedAt(4), abortedAt(9)]) {
      using session = llama.session();
      const { pieces, result } = await run(
        session.generate(prompt, { ...options, signal, stopOnAbort: true }),
      );
      assert.equal(result.finishReason, "abort");
      assert.equal(session.resumable, true);
      assert.deepEqual(session.ids, [...llama.tokenizer.encode(prompt), ...result.ids]);
      using restored = llama.restore(session.save());
      using fork = session.fork();
      for (const one of [session, restored, fork]) {
        // Once more, before anything is computed.
        const none = await run(one.resume({ signal: AbortSignal.abort(), stopOnAbort: true }));
        assert.deepEqual([none.pieces, none.result.finishReason], [[], "abort"]);
        const rest = await run(one.resume());
        assert.deepEqual([...pieces, ...rest.pieces], whole.pieces);
        assert.equal(rest.result.finishReason, "length");
        assert.equal(one.resumable, false);
      }
      await session.complete(" And", { ...options, maxTokens: 2 });
    }
  });

  it("keeps back what may be a stop string, which comes when it is resumed", async () => {
    const settings = { ...options, temperature: 0, maxTokens: 40 } as const;
    const whole = await llama.complete("Once upon a time", settings);
    const stop = `${whole.text.slice(20, 34)}xylophone`;
    for (let n = 1; n < 20; n++) {
      using session = llama.session();
      const first = await session.complete("Once upon a time", {
        ...settings,
        stop,
        signal: abortedAt(n),
        stopOnAbort: true,
      });
      const rest = await run(session.resume());
      assert.equal(first.text + rest.result.text, whole.text);
    }
  });

  it("throws what is no abort, and the signal's reason where it is not asked for", async () => {
    const aborted = { signal: AbortSignal.abort(new Error("enough")) };
    await assert.rejects(llama.complete("Once", aborted), /enough/);
    await assert.rejects(llama.complete("Once", { ...aborted, stopOnAbort: false }), /enough/);
    const stopping: GenerateOptions = { ...aborted, stopOnAbort: true };
    await assert.rejects(llama.complete("Once", { ...stopping, maxTokens: -1 }), { code: "USAGE" });
    await assert.rejects(llama.complete(Array(300).fill(5), stopping), { code: "CONTEXT" });
    using session = llama.session();
    session.dispose();
    await assert.rejects(session.complete("Once", stopping), { code: "ENGINE" });
  });

  it("needs no signal, and none that is aborted", async () => {
    const expected = await llama.complete("Once", options);
    for (const more of [{}, { signal: new AbortController().signal }]) {
      const { ids, finishReason } = await llama.complete("Once", { ...options, ...more, stopOnAbort: true });
      assert.deepEqual([ids, finishReason], [expected.ids, "length"]);
    }
    const none = await llama.complete("Once", {
      maxTokens: 0,
      signal: AbortSignal.abort(),
      stopOnAbort: true,
    });
    assert.deepEqual([none.text, none.finishReason], ["", "abort"]);
  });
});
