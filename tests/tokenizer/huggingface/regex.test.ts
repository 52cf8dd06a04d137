// Regular expressions against the runtime's own.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AlignedText } from "../../../src/tokenizer/huggingface/aligned_text.ts";
import { JsonValue } from "../../../src/tokenizer/huggingface/json.ts";
import { scanners } from "../../../src/tokenizer/huggingface/known_patterns.ts";
import { preTokenize, readPreTokenizers } from "../../../src/tokenizer/huggingface/pre_tokenizers.ts";
import { Regex } from "../../../src/tokenizer/huggingface/regex.ts";
import { ClassifiedText } from "../../../src/tokenizer/pretokenize/classified_text.ts";
import { WordEnds } from "../../../src/tokenizer/pretokenize/pretokenizer.ts";
import { FormatError, TokenizerError, UnsupportedError } from "../../../src/util/errors.ts";
import { jsonBytes } from "../../support/tokenizer_json.ts";

function found(pattern: string, text: string): string[] {
  return new Regex(pattern).matches(text).map(([begin, end]) => text.slice(begin, end));
}

describe("scanners", () => {
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "'s",
          "'ſ",
          "'LL",
          "'Re",
          "'",
          "a",
          "Zb",
          "é",
          "ǅ",
          "ʰ",
          "漢",
          "か",
          "e\u0301",
          "\u0301",
        ),
        fc.constantFrom(
          " ",
          "  ",
          "\n",
          "\r\n",
          "\t",
          "\u0085",
          "\u00a0",
          "\u3000",
          "\ufeff",
          "\u200b",
          "/",
          "~",
        ),
        fc.constantFrom("1", "23", "456", "½", "Ⅻ", "٣", ".", "...", "$", "¿", "€", "🦙", "\0"),
        fc.string({ unit: "binary", maxLength: 3 }),
      ),
      { maxLength: 16 },
    )
    .map((parts) => parts.join("").toWellFormed());
  assert.ok(scanners.size >= 10);
  for (const [pattern, pretokenizer] of scanners) {
    it(`${pretokenizer.name} splits as its pattern does: ${pattern}`, () => {
      const stages = readPreTokenizers(
        JsonValue.parse(
          jsonBytes({ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false }),
          "test.json",
        ),
      );
      fc.assert(
        fc.property(text, (source) => {
          const expected = preTokenize(stages, new AlignedText(source, 0, source.length), true);
          const ends = new WordEnds();
          pretokenizer.split(new ClassifiedText(source), 0, source.length, ends);
          assert.deepEqual(
            Array.from(ends.values.subarray(0, ends.length)),
            expected.filter((word) => word.text !== "").map((word) => word.end),
          );
        }),
        { numRuns: 300 },
      );
    });
  }
});

describe("Regex", () => {
  // What Oniguruma 6.9 finds, as Hugging Face's tokenizers 0.22.2 splits by it.
  const cases: [pattern: string, text: string, matches: string[]][] = [
    ["\\w+", "a²_é\u200dß１", ["a²_é", "ß１"]],
    ["[\\w]+", "a²", ["a"]],
    ["\\d+", "1٣²１", ["1٣", "１"]],
    ["\\h+", "1fg", ["1f"]],
    ["[[:alpha:]]+", "aé1ªⅫ", ["aé", "ªⅫ"]],
    ["[[:punct:]]+", "a.$+§¿`^c", [".$+§¿`^"]],
    ["\\s", "a\u0085b\ufeffc\u200bd\u3000", ["\u0085", "\u3000"]],
    ["[a-z&&[^aeiou]]+", "abcde", ["bcd"]],
    ["(?i)abc", "xABCy", ["ABC"]],
    ["(?i:'s)", "it'ſ and'S", ["'ſ", "'S"]],
    ["a++b", "aaab", ["aaab"]],
    ["a++ab", "aaab", []],
    ["(?>a|ab)c", "abcac", ["ac"]],
    ["\\p{Han}+", "a漢字b", ["漢字"]],
    ["a{,2}", "aaaab", ["aa", "aa", ""]],
    ["a{2}", "aaaab", ["aa", "aa"]],
    ["(?<=a)b", "abcb", ["b"]],
    ["(?<!a)b", "abcb", ["b"]],
    ["^b|c$", "b\nbc\nc", ["b", "b", "c", "c"]],
    ["\\Ab|c\\z", "b\nbc", ["b", "c"]],
    [".", "a\nb\r", ["a", "b", "\r"]],
    ["(?m:.)", "\n", ["\n"]],
    ["\\x41|\\u0042|\\x{43}", "ABC", ["A", "B", "C"]],
    ["[^\\S]", "a b", [" "]],
    ["[]a]", "]", ["]"]],
    ["\\p{^L}", "a1", ["1"]],
    ["\\P{L}", "a1", ["1"]],
    ["a*?b", "aab", ["aab"]],
    ["(?:ab)+?", "abab", ["ab", "ab"]],
    ["(?:a|ab)(?:c|bcd)", "abcd", ["abcd"]],
    ["🦙+", "x🦙🦙y", ["🦙🦙"]],
    ["\\bw|r\\b", "word war", ["w", "w", "r"]],
    ["x*", "axxb", ["", "xx", ""]],
    ["", "ab", ["", "", ""]],
  ];
  for (const [pattern, text, matches] of cases) {
    it(`matches() finds ${pattern} in ${JSON.stringify(text)}`, () => {
      assert.deepEqual(found(pattern, text), matches);
    });
  }

  it("matches() does not depend on the runtime's version of Unicode", () => {
    // Each of the first two is of its category since Unicode 17, which some runtimes know.
    for (const [category, later, known] of [
      ["L", "\u{323b0}", "漢"],
      ["S", "\ufdc8", "€"],
    ] as const) {
      assert.deepEqual(found(`\\p{${category}}`, later + known), [known]);
    }
  });

  it("matches() finds what the engine's regular expressions find", () => {
    const patterns = [
      "'s|'t| ?\\p{L}+| ?\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      "(?:a|b|ab)*?c|[ab]{2,3}|a(?=b)|(?<=c)b",
      "(?:a+b?){2,}|[^a]|(?:ab|a)(?:b|ba)",
    ];
    for (const pattern of patterns) {
      const regex = new Regex(pattern);
      fc.assert(
        fc.property(
          fc.string({ unit: fc.constantFrom("a", "b", "c", " ", "1", "é", "'", "s", ".") }),
          (text) => {
            const expected = Array.from(text.matchAll(new RegExp(pattern, "gu")), (match) => match[0]);
            const got = regex.matches(text).map(([begin, end]) => text.slice(begin, end));
            assert.deepEqual(got, expected);
          },
        ),
      );
    }
  });

  for (const pattern of [
    "(",
    ")",
    "a)",
    "[a",
    "[b-a]",
    "[a-\\d]",
    "*",
    "a{3,2}",
    "a{5000}",
    "\\",
    "\\x{110000}",
  ]) {
    it(`Regex() refuses ${pattern} as not valid`, () => {
      assert.throws(() => new Regex(pattern), FormatError);
    });
  }

  for (const pattern of [
    "(a)\\1",
    "\\K",
    "\\G",
    "\\X",
    "\\p{Nothing}",
    "(?x: a)",
    "(?<=a+)b",
    "(?:a*)*",
    "[[:x:]]",
  ]) {
    it(`Regex() says that ${pattern} is not supported`, () => {
      assert.throws(() => new Regex(pattern), UnsupportedError);
    });
  }

  it("Regex() refuses patterns that are long, deep or many times repeated", () => {
    assert.throws(() => new Regex("a".repeat(100_000)), FormatError);
    assert.throws(() => new Regex("(".repeat(100_000)), FormatError);
    assert.throws(() => new Regex(`${"(".repeat(1000)}a${")".repeat(1000)}`), FormatError);
    assert.throws(() => new Regex("[".repeat(1000)), FormatError);
    assert.throws(() => new Regex(`a${"?".repeat(60_000)}`), FormatError);
    assert.throws(() => new Regex("(?:(?:(?:ab){999}){999}){999}"), UnsupportedError);
  });

  it("matches() stops where a pattern takes exponential or quadratic time", () => {
    assert.throws(() => found("(?:a+)+b", "a".repeat(1000)), TokenizerError);
    assert.throws(() => found("(?:a|aa)+$", `${"a".repeat(1000)}!`), TokenizerError);
    assert.throws(() => found("\\s*x|\\t", " ".repeat(100_000)), TokenizerError);
  });

  it("matches() takes long runs without a deep stack", () => {
    const text = "a".repeat(300_000);
    assert.deepEqual(new Regex("a+").matches(text), [[0, text.length]]);
    assert.deepEqual(new Regex("(?:aa)+").matches(text), [[0, text.length]]);
    assert.deepEqual(new Regex("(?:a|b)*$").matches(text).length, 1);
  });
});
