// Normalization forms against the runtime's own, and hostile texts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { assignedRuns } from "../../../src/tokenizer/train/text/unicode_scripts.ts";
import { caseVariantsOf, foldCaseOf, lowerCaseOf } from "../../../src/tokenizer/unicode/case.ts";
import { oldUnicodeForms, unicodeForms } from "../../../src/tokenizer/unicode/forms.ts";
import { Graphemes } from "../../../src/tokenizer/unicode/graphemes.ts";
import { unicodeProperty } from "../../../src/tokenizer/unicode/properties.ts";

const forms = ["NFC", "NFD", "NFKC", "NFKD"] as const;

/** All that Unicode 14.0 assigns, which every runtime knows. */
const assigned = assignedRuns().flatMap(([start, end]) =>
  Array.from({ length: end - start }, (_, i) => start + i),
);

/** Characters that decompose, compose or move, and some that do not. */
const lively = assigned
  .map((character) => String.fromCodePoint(character))
  .filter((character) => character.normalize("NFKD") !== character || /\p{M}/u.test(character));
const character = fc.oneof(
  fc.constantFrom(...lively),
  fc.constantFrom(..."aeoAEK \0ぁかハｶ각가", "\u1100", "\u1161", "\u11a8", "\u0301", "\u0323", "\u0345", "ﾞ"),
);
const text = fc.array(character, { maxLength: 12 }).map((parts) => parts.join(""));

describe("UnicodeForms", () => {
  it("normalize() does to every character as the runtime, of which all know these", () => {
    const ours = unicodeForms();
    for (const form of forms) {
      for (const code of assigned) {
        const one = String.fromCodePoint(code);
        assert.equal(ours.normalize(one, form), one.normalize(form), `${form} U+${code.toString(16)}`);
      }
    }
  });

  it("normalize() does to sequences as the runtime", () => {
    const ours = unicodeForms();
    fc.assert(
      fc.property(text, fc.constantFrom(...forms), (source, form) => {
        assert.equal(ours.normalize(source, form), source.normalize(form));
      }),
      { numRuns: 3000 },
    );
  });

  it("edits() are in order, and make what normalize() gives", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(...forms), (source, form) => {
        let result = "";
        let kept = 0;
        unicodeForms().edits(source, form, (begin, end, replacement) => {
          assert.ok(begin >= kept && end > begin && replacement !== source.slice(begin, end));
          result += source.slice(kept, begin) + replacement;
          kept = end;
        });
        assert.equal(result + source.slice(kept), source.normalize(form));
      }),
    );
  });

  it("normalize() leaves alone what came after Unicode 9.0, as Hugging Face does", () => {
    const old = oldUnicodeForms();
    // The sign of the era Reiwa, a circled letter, a composed letter, a mark of Unicode 10.
    for (const later of ["\u32ff", "\u{1f16c}", "\u{11938}", "\u{11935}\u{11930}", "a\u0345\u1df6"]) {
      for (const form of forms) assert.equal(old.normalize(later, form), later);
    }
    assert.equal(unicodeForms().normalize("\u32ff", "NFKC"), "令和");
    assert.equal(old.normalize("\u337e", "NFKC"), "明治");
    assert.equal(old.normalize("a\u0345\u0301", "NFD"), "a\u0301\u0345");
  });

  it("normalize() keeps lone surrogates", () => {
    for (const form of forms) {
      const source = "e\u0301\ud800e\udc00\u0301\ud83d";
      const [first, second] = form.endsWith("C") ? ["é", "\u0301"] : ["e\u0301", "\u0301"];
      assert.equal(unicodeForms().normalize(source, form), `${first}\ud800e\udc00${second}\ud83d`);
    }
  });

  it("normalize() takes a million marks, in order or not", () => {
    const marks = "\u0301\u0323\u05b0\u0345".repeat(250_000);
    const sorted = `${"\u05b0".repeat(250_000)}${"\u0323".repeat(250_000)}${"\u0301".repeat(250_000)}${"\u0345".repeat(250_000)}`;
    assert.equal(unicodeForms().normalize(`x${marks}`, "NFD"), `x${sorted}`);
    assert.equal(unicodeForms().normalize(`x${sorted}`, "NFC"), `x${sorted}`);
    assert.equal(unicodeForms().normalize(marks, "NFKC"), sorted);
    const syllables = "각".repeat(300_000);
    assert.equal(unicodeForms().normalize(syllables.normalize("NFD"), "NFC"), syllables);
    assert.equal(unicodeForms().normalize("\u1100\u1161".repeat(300_000), "NFC"), "가".repeat(300_000));
    assert.equal(unicodeForms().normalize("\ufdfa".repeat(50_000), "NFKD").length, 18 * 50_000);
  });
});

describe("lowerCaseOf()", () => {
  it("is the runtime's, of characters that all runtimes know", () => {
    for (const code of assigned) {
      if (code === 0x130) continue;
      const lower = String.fromCodePoint(code).toLowerCase();
      // Capitals that came later than their small letters have no pair in every runtime.
      if (lower !== String.fromCodePoint(code)) assert.equal(String.fromCodePoint(lowerCaseOf(code)), lower);
    }
    assert.equal(lowerCaseOf(0x130), 0x130);
  });

  it("is that of Unicode 17.0 everywhere", () => {
    assert.equal(lowerCaseOf(0xa7ce), 0xa7cf);
    assert.equal(lowerCaseOf(0x16ea0), 0x16ebb);
    assert.equal(lowerCaseOf(0xa7dc), 0x19b);
    assert.equal(lowerCaseOf(0x3a3), 0x3c3);
  });
});

describe("caseVariantsOf()", () => {
  it("has all characters that fold to the same", () => {
    const of = (one: string) =>
      [...caseVariantsOf(one.codePointAt(0) as number)].map((code) => String.fromCodePoint(code)).sort();
    assert.deepEqual(of("k"), ["K", "k", "\u212a"]);
    assert.deepEqual(of("S"), ["S", "s", "ſ"]);
    assert.deepEqual(of("ς"), ["Σ", "ς", "σ"]);
    assert.deepEqual(of("ß"), ["ß", "ẞ"]);
    assert.deepEqual(of("Ꭰ"), ["Ꭰ", "ꭰ"]);
    // Neither is an i, as in Oniguruma.
    assert.deepEqual(of("ı"), ["ı"]);
    assert.deepEqual(of("İ"), ["İ"]);
    assert.deepEqual(of("i"), ["I", "i"]);
    assert.deepEqual(of("漢"), ["漢"]);
    for (const code of assigned) assert.equal(foldCaseOf(foldCaseOf(code)), foldCaseOf(code));
  });
});

describe("unicodeProperty()", () => {
  it("agrees with the runtime's regular expressions on what Unicode 14.0 assigns", () => {
    const names = [
      ..."L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf".split(
        " ",
      ),
      ..."Alphabetic Lowercase Uppercase White_Space Hex_Digit Join_Control Emoji ID_Start Dash Math".split(
        " ",
      ),
      ..."Script=Han Script=Latin Script=Hiragana Script=Common Script=Inherited".split(" "),
    ];
    let changed = 0;
    for (const name of names) {
      const pattern = new RegExp(`^\\p{${name}}$`, "u");
      const isMember = unicodeProperty(name);
      assert.ok(isMember, name);
      for (let i = 0; i < assigned.length; i += assigned[i] && (assigned[i] as number) > 0x3400 ? 7 : 1) {
        const code = assigned[i] as number;
        if (isMember(code) !== pattern.test(String.fromCodePoint(code))) changed++;
      }
    }
    // Versions of Unicode change the properties of few characters that there are.
    assert.ok(changed < 200, `${changed}`);
  });

  it("takes short and long names, however they are written, and no unknown ones", () => {
    for (const [names, member] of [
      [["Lu", "lu", "Uppercase_Letter", "uppercase letter", "gc=Lu"], "A"],
      [["Han", "Hani", "han", "Script=Han", "sc=Hani"], "漢"],
      [["Alphabetic", "Alpha", "alphabetic"], "a"],
      [["Emoji", "EMOJI"], "😀"],
      [["Extended_Pictographic", "ExtPict"], "😀"],
      [["Nd", "digit", "Decimal_Number"], "7"],
    ] as const) {
      for (const name of names) {
        assert.equal(unicodeProperty(name)?.(member.codePointAt(0) as number), true, name);
        assert.equal(unicodeProperty(name)?.(0x2e00), false, name);
      }
    }
    for (const name of ["", "Nothing", "constructor", "Age=9.0", "Ł", "=Lu"]) {
      assert.equal(unicodeProperty(name), undefined, name);
    }
  });

  it("tells what is not assigned", () => {
    const is = (name: string, code: number) => unicodeProperty(name)?.(code);
    assert.deepEqual(
      [0x378, 0xd800, 0xe000, 0xf0000, 0xffffe, 0x11db0, 0x1c89].map((code) => is("Cn", code)),
      [true, false, false, false, true, true, false],
    );
    assert.equal(is("Co", 0x10fffd), true);
    assert.equal(is("Co", 0x10ffff), false);
    assert.equal(is("Cs", 0xdfff), true);
    assert.equal(is("Assigned", 0x11db0), false);
  });
});

describe("Graphemes", () => {
  it("end() cuts as the runtime does", () => {
    const graphemes = new Graphemes();
    const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
    const part = fc.constantFrom(
      ..."\r \n a é \u0301 \u200d \u200c 한 \u1100 \u1161 \u11a8 ก \u0e33 \u0903 \u0600 © ™".split(" "),
      ..."👩 🏽 \ufe0f ❤ 漢 が \u3099 \u0345 \u00ad א \u05b0 \u{e0020} \u0d4e".split(" "),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        const source = parts.join("");
        const expected = Array.from(
          segmenter.segment(source),
          ({ index, segment }) => index + segment.length,
        );
        const found: number[] = [];
        for (let end = 0; end < source.length; ) {
          end = graphemes.end(source, end);
          found.push(end);
        }
        assert.deepEqual(found, expected);
      }),
      { numRuns: 3000 },
    );
  });
});
