// Normalization rules against Unicode's normalization forms.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Charsmap } from "../../../../src/tokenizer/sentencepiece/charsmap.ts";
import { parseSentencePieceModel } from "../../../../src/tokenizer/sentencepiece/spm_model.ts";
import { compileCharsmap } from "../../../../src/tokenizer/train/text/charsmap_writer.ts";
import {
  applyRules,
  foldCase,
  normalizationRules,
} from "../../../../src/tokenizer/train/text/normalization_rules.ts";
import { assignedRuns } from "../../../../src/tokenizer/train/text/unicode_scripts.ts";
import { itShared, sharedBytes } from "../../../support/shared.ts";

const nfkc = normalizationRules("nfkc");
const nmtNfkc = normalizationRules("nmt_nfkc");

/** Random text of assigned characters, and often of those that rules begin with. */
function* randomTexts(n: number): Generator<string> {
  const runs = assignedRuns();
  const keys = [...nfkc.keys()];
  let seed = 12345;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const character = () => {
    const [start, end] = runs[random(runs.length)] as [number, number];
    return String.fromCodePoint(start + random(end - start));
  };
  for (let i = 0; i < n; i++) {
    yield Array.from({ length: 1 + random(8) }, () =>
      random(2) === 0 ? character() : (keys[random(keys.length)] as string),
    ).join("");
  }
}

describe("normalizationRules()", () => {
  it("has none for identity", () => {
    assert.equal(normalizationRules("identity").size, 0);
    assert.deepEqual(compileCharsmap(new Map()), new Uint8Array(0));
  });

  it("nfkc changes every single character as String.normalize() does", () => {
    for (const [start, end] of assignedRuns()) {
      for (let code = start; code < end; code++) {
        const character = String.fromCodePoint(code);
        const expected = code === 0 ? character : character.normalize("NFKC");
        assert.equal(nfkc.get(character) ?? character, expected, code.toString(16));
      }
    }
  });

  it("nfkc composes what is decomposed", () => {
    for (const text of [
      "e\u0301",
      "A\u0302\u0300",
      "\u1112\u1161\u11ab",
      "ｶﾞ",
      "ｋ\u0327",
      "\u0391\u0313\u0300\u0345",
    ]) {
      assert.equal(applyRules(nfkc, text, 4), text.normalize("NFKC"), text);
    }
  });

  it("nmt_nfkc makes spaces and takes controls out", () => {
    assert.equal(applyRules(nmtNfkc, "a\tb\r\nc\u200bd\ufeffe\u2581f\ufffdg", 4), "a b  c d e f g");
    assert.equal(applyRules(nmtNfkc, "a\u0001\u007f\u000bb", 4), "ab");
    assert.equal(applyRules(nmtNfkc, "～ﬁ①\u00a0\u3000x", 4), "～fi1  x");
    assert.equal(applyRules(nfkc, "～\t", 4), "~\t");
  });

  it("_cf folds case after all else", () => {
    const rules = normalizationRules("nmt_nfkc_cf");
    assert.equal(
      applyRules(rules, "ÀÉß ẞ ΣΑΣ ſ K Ǆ İı ＡＢＣ Ꭰꭰ", 4),
      "àéß ß σασ s k dž İı abc ᎠᎠ".normalize("NFC"),
    );
    assert.equal(applyRules(rules, "E\u0301", 4), "é");
  });

  it("is of Unicode 14.0 whatever the runtime has", () => {
    // Added in 15.0, 16.0 and 17.0.
    for (const later of ["\u{1e030}", "\u{1ccd6}", "\ua7f1"]) assert.equal(nfkc.has(later), false);
    assert.equal(nfkc.get("\u{10781}"), "ː");
    assert.equal(nfkc.size, 224755);
    assert.equal(nmtNfkc.size, 224798);
  });
});

describe("foldCase()", () => {
  it("folds to what the runtime's case-insensitive patterns match", () => {
    for (const [start, end] of assignedRuns()) {
      for (let code = start; code < end; code++) {
        const character = String.fromCodePoint(code);
        const folded = foldCase(character);
        if (folded === character) continue;
        assert.match(character, new RegExp(`^${folded}$`, "iu"), code.toString(16));
        assert.equal(foldCase(folded), folded, code.toString(16));
      }
    }
  });
});

describe("compileCharsmap()", () => {
  it("holds every rule, and nothing else", () => {
    const charsmap = new Charsmap(compileCharsmap(nmtNfkc), "nmt_nfkc");
    for (const [key, value] of nmtNfkc)
      assert.equal(charsmap.normalize(key).text, value, JSON.stringify(key));
    for (const [start, end] of assignedRuns()) {
      for (let code = start; code < end; code++) {
        const character = String.fromCodePoint(code);
        if (!nmtNfkc.has(character)) assert.equal(charsmap.normalize(character).text, character, `${code}`);
      }
    }
  });

  it("is about as large as SentencePiece's", () => {
    const { length } = compileCharsmap(nmtNfkc);
    assert.ok(length > 200_000 && length < 260_000, `${length}`);
    assert.equal(length % 4 === 0 || length > 0, true);
  });

  it("compiles few rules, and rules that are beginnings of others", () => {
    for (const rules of [
      { a: "b" },
      { a: "", ab: "x", abc: "yy" },
      { "\u{10ffff}": "é", "\u{10fffe}": "é" },
    ]) {
      const charsmap = new Charsmap(compileCharsmap(new Map(Object.entries(rules))), "rules");
      for (const [key, value] of Object.entries(rules)) assert.equal(charsmap.normalize(key).text, value);
      assert.equal(
        charsmap.normalize("\0zabcab").text,
        `\0z${applyRules(new Map(Object.entries(rules)), "abcab", 3)}`,
      );
    }
  });

  itShared(["vocabs/spm-unigram-en.model"], "normalizes as SentencePiece's own nfkc charsmap does", () => {
    const model = parseSentencePieceModel(sharedBytes("vocabs/spm-unigram-en.model"));
    const theirs = new Charsmap((model as { charsmap: Uint8Array }).charsmap, "theirs");
    const ours = new Charsmap(compileCharsmap(nfkc), "ours");
    // It is of Unicode 6.3: what came later it leaves as it is.
    const later = new Set<string>();
    for (const key of nfkc.keys()) if (theirs.normalize(key).text !== nfkc.get(key)) later.add(key);
    assert.ok(later.size <= 101, `${later.size}`);
    let compared = 0;
    for (const text of randomTexts(20_000)) {
      if ([...later].some((key) => text.includes(key[0] === "\ud800" ? key : key.slice(0, 2)))) continue;
      assert.equal(ours.normalize(text).text, theirs.normalize(text).text, JSON.stringify(text));
      compared++;
    }
    assert.ok(compared > 15_000, `${compared}`);
  });
});
