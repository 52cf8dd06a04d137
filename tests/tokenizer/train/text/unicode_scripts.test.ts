// Scripts of characters in Unicode 14.0.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assignedRuns, scriptOf, UNASSIGNED } from "../../../../src/tokenizer/train/text/unicode_scripts.ts";

/** Scripts of a few characters that were changed since Unicode 14.0. */
const MAX_CHANGED = 200;

describe("scriptOf()", () => {
  it("knows characters of many scripts", () => {
    const expected = {
      ...{
        a: "Latn",
        Z: "Latn",
        é: "Latn",
        α: "Grek",
        Ж: "Cyrl",
        א: "Hebr",
        ب: "Arab",
        अ: "Deva",
        ก: "Thai",
      },
      ...{ あ: "Hira", ア: "Kana", ー: "Zyyy", 漢: "Hani", 한: "Hang", Ꭰ: "Cher", 𐍈: "Goth", 𠀀: "Hani" },
      ...{ "0": "Zyyy", " ": "Zyyy", "▁": "Zyyy", "\u0301": "Zinh", "😀": "Zyyy", "\u0378": UNASSIGNED },
    };
    for (const [character, script] of Object.entries(expected)) {
      assert.equal(scriptOf(character.codePointAt(0) as number), script, character);
    }
  });

  it("knows the first and the last code point, and surrogates as unassigned", () => {
    assert.equal(scriptOf(0), "Zyyy");
    assert.equal(scriptOf(0x10ffff), UNASSIGNED);
    assert.equal(scriptOf(0xd800), UNASSIGNED);
    assert.equal(scriptOf(0xdfff), UNASSIGNED);
  });

  it("agrees with the runtime's own table", () => {
    const patterns = new Map<string, RegExp>();
    let changed = 0;
    for (const [start, end] of assignedRuns()) {
      const script = scriptOf(start);
      let pattern = patterns.get(script);
      if (!pattern) {
        pattern = new RegExp(`\\p{Script=${script}}`, "u");
        patterns.set(script, pattern);
      }
      for (let code = start; code < end; code++) if (!pattern.test(String.fromCodePoint(code))) changed++;
    }
    assert.ok(patterns.size > 150, `${patterns.size}`);
    assert.ok(changed <= MAX_CHANGED, `${changed}`);
  });
});

describe("assignedRuns()", () => {
  it("are ascending and leave out what is not assigned", () => {
    let last = 0;
    let n = 0;
    for (const [start, end] of assignedRuns()) {
      assert.ok(start >= last && end > start);
      last = end;
      n += end - start;
    }
    // Unicode 14.0 has 144,697 characters besides 65 controls.
    assert.equal(n, 144_697 + 65);
  });
});
