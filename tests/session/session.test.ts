// Sessions: resuming, forks, rollback, disposal.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  type Completion,
  ContextError,
  EngineError,
  type GenerateOptions,
  Llama,
  type LoadOptions,
  type Piece,
  type Session,
  UsageError,
} from "../../src/mod.ts";
import { meta, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel } from "../support/models.ts";

const greedy = { temperature: 0, ignoreEos: true } as const;
const sampled = {
  temperature: 1.2,
  topK: 0,
  topP: 0.95,
  repeatPenalty: 1.2,
  seed: 12,
  ignoreEos: true,
} as const;

const loaded: Llama[] = [];
after(() => {
  for (const llama of loaded) llama.dispose();
});

async function tales(options: LoadOptions = {}): Promise<Llama> {
  const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 128, ...options });
  loaded.push(llama);
  return llama;
}

/** The first `n` pieces of a generation, which is left then; all without `n`. */
async function take(generation: AsyncGenerator<Piece, Completion>, n = Infinity): Promise<Piece[]> {
  const pieces: Piece[] = [];
  if (n === 0) return pieces;
  for await (const piece of generation) {
    pieces.push(piece);
    if (pieces.length >= n) break;
  }
  return pieces;
}

const textOf = (pieces: readonly Piece[]) => pieces.map(({ text }) => text).join("");

function disposed(session: Session): void {
  session.dispose();
  session.dispose();
  assert.throws(() => session.save(), EngineError);
}

describe("Session.generate()", () => {
  it("gives on a new session what Llama.generate() gives", async () => {
    const llama = await tales();
    for (const options of [greedy, sampled]) {
      const expected = await llama.complete("Once upon a time", { ...options, maxTokens: 30 });
      using session = llama.session();
      const { text, ids, finishReason, usage } = await session.complete("Once upon a time", {
        ...options,
        maxTokens: 30,
      });
      assert.deepEqual(
        { text, ids, finishReason, usage },
        {
          text: expected.text,
          ids: expected.ids,
          finishReason: expected.finishReason,
          usage: expected.usage,
        },
      );
      assert.deepEqual(session.ids, [...llama.tokenizer.encode("Once upon a time"), ...ids]);
      assert.equal(session.pos, session.ids.length);
    }
  });

  it("goes on from everything before, and computes only what is new", async () => {
    const llama = await tales();
    using session = llama.session();
    for (const [prompt, maxTokens] of [
      ["Once upon a time", 0],
      ["", 1],
      [" One day", 7],
      ["", 40],
      [" The end", 3],
    ] as const) {
      const before = session.ids;
      const added =
        before.length === 0 ? llama.tokenizer.encode(prompt) : llama.tokenizer.encode(prompt, { bos: false });
      const { ids, usage } = await session.complete(prompt, { ...greedy, maxTokens });
      assert.equal(usage.promptTokens, prompt === "" ? 0 : added.length);
      const all = [...before, ...(prompt === "" ? [] : added)];
      for (const id of ids) {
        const logits = await llama.logits(all);
        assert.equal(id, logits.indexOf(Math.max(...logits)));
        all.push(id);
      }
      assert.deepEqual(session.ids, all);
    }
  });

  it("penalises repetition over the whole session", async () => {
    const llama = await tales();
    const options = { ...greedy, repeatPenalty: 1.5 };
    const whole = await llama.complete("Once upon a time", { ...options, maxTokens: 30 });
    using session = llama.session();
    const first = await session.complete("Once upon a time", { ...options, maxTokens: 11 });
    const second = await session.complete("", { ...options, maxTokens: 19 });
    assert.deepEqual([...first.ids, ...second.ids], whole.ids);
    assert.equal(first.text + second.text, whole.text);
  });

  it("puts BOS at the beginning only", async () => {
    const llama = await tales();
    using session = llama.session();
    await session.append("Once");
    await session.append(" upon");
    const bos = llama.tokenizer.bosId as number;
    assert.deepEqual(
      session.ids.map((id) => id === bos),
      [true, ...Array(session.pos - 1).fill(false)],
    );
    session.rollback(0);
    await session.append("Once");
    assert.equal(session.ids[0], bos);
  });

  it("fills the context and then refuses more", async () => {
    const llama = await tales({ contextLength: 16 });
    using session = llama.session();
    const first = await session.complete("Once upon a time", { ...greedy, maxTokens: 4 });
    const rest = await session.complete("", greedy);
    assert.equal(first.finishReason, "length");
    assert.equal(rest.finishReason, "context");
    assert.equal(session.pos, 17);
    assert.equal(session.resumable, false);
    for (const prompt of ["", "more"]) {
      await assert.rejects(session.complete(prompt), (error) => {
        assert.ok(error instanceof ContextError);
        assert.match(
          error.message,
          /Expected room for a prompt, all 16 positions of the context are taken; roll the session back/,
        );
        return true;
      });
    }
    assert.equal(session.pos, 17);
    session.rollback(10);
    await assert.rejects(session.complete("a text that is too long for what is left"), ContextError);
    assert.equal(session.pos, 10, "a prompt that does not fit is not added");
    assert.equal((await session.complete("", { ...greedy, maxTokens: 1 })).ids.length, 1);
  });

  it("refuses a second use while a token is computed, and an outdated generator", async () => {
    const llama = await tales();
    using session = llama.session();
    const first = session.generate("Once", greedy);
    // All within one task: a short step is over soon after.
    const pending = first.next();
    const refused = assert.rejects(session.generate("x").next(), UsageError);
    for (const use of [() => session.save(), () => session.fork(), () => session.rollback(0)]) {
      assert.throws(use, /Expected a session that is idle/);
    }
    await refused;
    await pending;
    const second = session.generate("Twice", greedy);
    await second.next();
    await assert.rejects(first.next(), /its session has begun another/);
    assert.equal((await second.next()).done, false);
  });

  it("can be resumed after an abort in the prompt and between tokens", async () => {
    const llama = await tales();
    const prompt = "Once upon a time there was a king. ".repeat(10);
    const expected = await llama.complete(prompt, { ...sampled, maxTokens: 12 });
    using session = llama.session();
    const reason = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 0);
    // The machine may be quick: then the prompt was computed before the timer rang.
    await session
      .complete(prompt, { ...sampled, maxTokens: 12, signal: controller.signal })
      .catch((error) => assert.equal(error, reason));
    if (!session.resumable) session.rollback(0);
    const rest = session.resumable
      ? session.resume()
      : session.generate(prompt, { ...sampled, maxTokens: 12 });
    const begun = session.pos;
    await take(rest, 5);
    assert.equal(session.pos, Math.max(begun, llama.tokenizer.encode(prompt).length) + 5);
    const again = new AbortController();
    const aborted = session.resume({ signal: again.signal });
    await aborted.next();
    again.abort(reason);
    await assert.rejects(aborted.next(), reason);
    await take(session.resume());
    assert.deepEqual(session.ids.slice(-12), expected.ids);
  });
});

describe("Session.resume()", () => {
  it("goes on with tokens and text as if the generation had not been left", async () => {
    const tiny = await Llama.load(tinyLlamaGguf().bytes, { threads: 1 });
    loaded.push(tiny);
    // Random weights over byte tokens: almost every character is broken or several tokens long.
    const wild = { temperature: 5, topK: 0, topP: 1, seed: 11, maxTokens: 30, ignoreEos: true };
    for (const [llama, prompt, options] of [
      [tiny, "", wild],
      [await tales(), "Once upon a time", { ...sampled, maxTokens: 14 }],
      [
        await tales(),
        "Once upon a time",
        { ...greedy, maxTokens: 16, stop: ["there was a xylophone", " wanted to"] },
      ],
    ] as const) {
      const expected = await take(llama.generate(prompt, options));
      assert.ok(expected.length > 3);
      for (let cut = 1; cut < expected.length; cut++) {
        using session = llama.session();
        const pieces = await take(session.generate(prompt, options), cut);
        assert.equal(session.resumable, true);
        pieces.push(...(await take(session.resume())));
        assert.deepEqual(pieces, expected, `left after ${cut}`);
        assert.equal(session.resumable, false);
      }
    }
  });

  it("can be left again and again", async () => {
    const llama = await tales();
    const expected = await take(llama.generate("Once", { ...sampled, maxTokens: 30 }));
    using session = llama.session();
    const pieces = await take(session.generate("Once", { ...sampled, maxTokens: 30 }), 1);
    while (session.resumable) pieces.push(...(await take(session.resume(), 3)));
    assert.deepEqual(pieces, expected);
  });

  it("refuses where nothing is open", async () => {
    const llama = await tales();
    using session = llama.session();
    const refused = () => assert.rejects(take(session.resume()), UsageError);
    await refused();
    await take(session.generate("Once", { ...greedy, maxTokens: 3 }));
    await refused();
    await take(session.generate("Once", greedy), 3);
    await session.append(" upon");
    await refused();
    await take(session.generate("Once", greedy), 3);
    session.rollback(2);
    await refused();
  });

  it("counts in its result what it has generated itself", async () => {
    const llama = await tales();
    using session = llama.session();
    const before = await take(session.generate("Once", { ...greedy, maxTokens: 10 }), 4);
    const rest = session.resume();
    let result = await rest.next();
    while (!result.done) result = await rest.next();
    assert.deepEqual(result.value.usage, { promptTokens: 0, cachedTokens: 0, generatedTokens: 6 });
    const whole = await llama.complete("Once", { ...greedy, maxTokens: 10 });
    assert.equal(textOf(before) + result.value.text, whole.text);
  });
});

describe("Session.fork()", () => {
  it("shares the past, and both go on apart", async () => {
    const llama = await tales();
    using session = llama.session();
    await session.append("Once upon a time there was a little girl named");
    const alone = async (seed: number) => {
      using fresh = llama.session();
      await fresh.append("Once upon a time there was a little girl named");
      return (await fresh.complete("", { ...sampled, seed, maxTokens: 40 })).ids;
    };
    using fork = session.fork();
    using late = fork.fork();
    const runs = [session, fork, late].map((one, i) =>
      one.complete("", { ...sampled, seed: i, maxTokens: 40 }),
    );
    const results = await Promise.all(runs);
    for (const [i, { ids }] of results.entries()) assert.deepEqual(ids, await alone(i));
  });

  it("goes on with an open generation in both, in the middle of a character too", async () => {
    const tiny = await Llama.load(tinyLlamaGguf().bytes, { threads: 1 });
    loaded.push(tiny);
    const wild = { temperature: 5, topK: 0, topP: 1, seed: 11, maxTokens: 30, ignoreEos: true };
    const stop = { ...sampled, maxTokens: 30, stop: ["never said"] } satisfies GenerateOptions;
    for (const [llama, options] of [
      [tiny, wild],
      [await tales(), stop],
    ] as const) {
      const expected = await take(llama.generate("Once", options));
      for (const cut of [1, 2, 3, 4, 5, 6, 7, 8, 9, 29]) {
        using session = llama.session();
        const pieces = await take(session.generate("Once", options), cut);
        using fork = session.fork();
        assert.deepEqual([...pieces, ...(await take(session.resume()))], expected);
        assert.deepEqual([...pieces, ...(await take(fork.resume()))], expected, `left after ${cut}`);
      }
    }
  });

  it("survives the end of the one it came from", async () => {
    const llama = await tales();
    const session = llama.session();
    await session.append("Once upon a time");
    using fork = session.fork();
    disposed(session);
    const expected = await llama.complete("Once upon a time", { ...greedy, maxTokens: 20 });
    assert.deepEqual((await fork.complete("", { ...greedy, maxTokens: 20 })).ids, expected.ids);
  });
});

describe("Session.rollback()", () => {
  it("forgets, to every position", async () => {
    const llama = await tales();
    using session = llama.session();
    const { ids } = await session.complete("Once", { ...sampled, maxTokens: 70 });
    const all = session.ids;
    assert.equal(ids.length, 70);
    for (const pos of [all.length, 71, 65, 64, 63, 33, 32, 31, 2, 1]) {
      session.rollback(pos);
      assert.deepEqual(session.ids, all.slice(0, pos));
      const logits = await llama.logits(all.slice(0, pos));
      using fork = session.fork();
      const next = await fork.complete("", { ...greedy, maxTokens: 1 });
      assert.deepEqual(next.ids, [logits.indexOf(Math.max(...logits))], `${pos}`);
    }
  });

  it("refuses positions that are none", async () => {
    const llama = await tales();
    using session = llama.session();
    await session.append("Once");
    for (const pos of [-1, 1.5, session.pos + 1, Number.NaN]) {
      assert.throws(() => session.rollback(pos), /Expected a position in \[0, 2\]/);
    }
  });
});

describe("Session.dispose()", () => {
  it("gives the memory back, also while a token is computed", async () => {
    const llama = await tales();
    const expected = await llama.complete("Once", { ...greedy, maxTokens: 8 });
    const { memoryBytes } = llama;
    for (let i = 0; i < 30; i++) {
      const session = llama.session();
      const generation = session.generate("Once", greedy);
      const pending = generation.next();
      if (i % 2) await pending;
      disposed(session);
      await pending.catch(() => {});
      await assert.rejects(generation.next().then(({ done }) => assert.equal(done, false)));
      await assert.rejects(session.append("x"), EngineError);
    }
    assert.equal(llama.memoryBytes, memoryBytes);
    assert.deepEqual((await llama.complete("Once", { ...greedy, maxTokens: 8 })).ids, expected.ids);
  });

  it("of the model ends its sessions", async () => {
    const llama = await Llama.load(
      tinyLlamaGguf({ metadata: { "llama.context_length": meta("u32", 64) } }).bytes,
    );
    const session = llama.session();
    await session.append("in the");
    llama.dispose();
    await assert.rejects(session.complete(""), EngineError);
    assert.throws(() => llama.session(), EngineError);
    session.dispose();
  });
});
