// Learning merges against a plain twin that counts anew each time.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { learnMerges, type MergeTask } from "../../../../src/tokenizer/train/bpe/merge_learner.ts";
import { Pace } from "../../../../src/tokenizer/train/pace.ts";

type Words = Record<string, number>;

function learn(words: Words, limit: number, options: Partial<MergeTask> = {}): Promise<string[]> {
  const entries = Object.entries(words).map(([word, n]) => [Array.from(word), n] as const);
  const task = {
    words: entries,
    limit,
    isValid: () => true,
    mergeKnown: false,
    learnPast: false,
    ...options,
  };
  return learnMerges(task, new Pace(undefined, undefined));
}

/** The same by counting all pairs anew for every merge; likewise neighbours alike are counted two by two. */
function reference(words: Words, limit: number): string[] {
  const split = Object.entries(words).map(([word, n]) => ({ parts: Array.from(word), n }));
  const learned: string[] = [];
  while (learned.length < limit) {
    const counts = new Map<string, number>();
    for (const { parts, n } of split) {
      for (let i = 1, overlaps = false; i < parts.length; i++) {
        overlaps = !overlaps && i > 1 && parts[i] === parts[i - 1] && parts[i - 1] === parts[i - 2];
        const key = `${parts[i - 1]} ${parts[i]}`;
        if (!overlaps) counts.set(key, (counts.get(key) ?? 0) + n);
      }
    }
    const [best] = [...counts].sort(
      ([a, m], [b, n]) => n - m || a.length - b.length || (text(a) < text(b) ? -1 : 1),
    );
    if (!best) break;
    const [left, right] = best[0].split(" ");
    learned.push(text(best[0]));
    for (const word of split) {
      const merged: string[] = [];
      for (let i = 0; i < word.parts.length; i++) {
        const both = word.parts[i] === left && word.parts[i + 1] === right;
        merged.push(both ? `${left}${right}` : (word.parts[i] as string));
        if (both) i++;
      }
      word.parts = merged;
    }
  }
  return learned;
}

function text(pair: string): string {
  return pair.replace(" ", "");
}

describe("learnMerges()", () => {
  it("learns nothing from nothing, and from single characters", async () => {
    assert.deepEqual(await learn({}, 5), []);
    assert.deepEqual(await learn({ a: 3, b: 1 }, 5), []);
    assert.deepEqual(await learn({ ab: 3 }, 0), []);
  });

  it("merges the most frequent pair first", async () => {
    const words = { low: 5, lower: 2, newest: 6, widest: 3 };
    const learned = await learn(words, 10);
    assert.deepEqual(learned.slice(0, 4), ["es", "est", "lo", "low"]);
    assert.deepEqual(learned, reference(words, 10));
  });

  it("prefers the shorter of equally frequent pairs, then the first by code points", async () => {
    assert.deepEqual(await learn({ cd: 1, ab: 1, "\u{1f600}x": 1, "\uff21x": 1 }, 4), [
      "ab",
      "cd",
      "\uff21x",
      "\u{1f600}x",
    ]);
    assert.deepEqual(await learn({ ab: 4, xyz: 4 }, 4), ["ab", "xy", "xyz"]);
  });

  it("does as counting anew does, on random words", async () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 16) % below;
    };
    for (let round = 0; round < 40; round++) {
      const words: Words = {};
      for (let i = 0; i < 1 + random(12); i++) {
        const letters = Array.from({ length: 1 + random(9) }, () => "abcd"[random(4)]);
        // Words without three of a letter: what is counted of "aaa" later depends on the order of merging.
        words[letters.join("").replace(/(.)\1+/g, "$1")] = 1 + random(5);
      }
      const known = reference(words, 12);
      // SentencePiece leaves a text apart that it has learned in other parts.
      if (new Set(known).size < known.length) continue;
      assert.deepEqual(await learn(words, 12), known, JSON.stringify(words));
    }
  });

  it("counts neighbours alike two by two", async () => {
    // "aaaaa" has two pairs "aa", not four.
    assert.deepEqual(await learn({ aaaaa: 1, bc: 3 }, 1), ["bc"]);
    assert.deepEqual(await learn({ aaaaa: 2, bc: 3 }, 1), ["aa"]);
  });

  it("learns every text once, whether or not it merges it again", async () => {
    const words = Object.fromEntries(Array.from({ length: 20 }, (_, i) => ["a".repeat(i + 2), 25 - i]));
    for (const mergeKnown of [false, true]) {
      const learned = await learn(words, 1000, { mergeKnown });
      assert.equal(new Set(learned).size, learned.length);
      assert.ok(learned.length > 10, `${learned}`);
    }
  });

  it("learns pairs that are no neighbours any more last, the shorter first, if asked to", async () => {
    const words = { hello: 2, help: 1 };
    const present = await learn(words, 99);
    assert.deepEqual(present, ["el", "hel", "lo", "hello", "help"]);
    const all = await learn(words, 99, { learnPast: true });
    assert.deepEqual(all, [...present, "he", "ll", "lp", "ell", "elp", "hell"]);
    assert.deepEqual(await learn(words, 7, { learnPast: true }), all.slice(0, 7));
    assert.deepEqual(await learn(words, 3, { learnPast: true }), all.slice(0, 3));
  });

  it("obeys isValid()", async () => {
    assert.deepEqual(await learn({ abcabc: 9 }, 9, { isValid: (_, n) => n <= 2 }), ["ab"]);
    assert.deepEqual(await learn({ abc: 9 }, 9, { isValid: (text) => !text.includes("b") }), []);
  });

  it("is fast for long words", async () => {
    const word = "ab".repeat(200_000);
    const learned = await learn({ [word]: 1, ["x".repeat(300_000)]: 1 }, 30);
    assert.deepEqual(learned.slice(0, 3), ["ab", "xx", "abab"]);
    assert.ok(learned.includes("x".repeat(1 << 10)));
  });

  it("stops when asked to", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const words = Array.from({ length: 3000 }, (_, i) => [Array.from(`w${i * 7919}x${i}`), 1] as const);
    const pace = new Pace(controller.signal, () => controller.abort(reason));
    await assert.rejects(
      learnMerges({ words, limit: 1e6, isValid: () => true, mergeKnown: false, learnPast: true }, pace),
      (error) => error === reason,
    );
  });
});
