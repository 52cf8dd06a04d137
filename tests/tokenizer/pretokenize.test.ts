// Every pre-tokenizer against the regular expressions that it stands for.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClassifiedText } from "../../src/tokenizer/pretokenize/classified_text.ts";
import {
  matches,
  type Pretokenizer,
  sequence,
  WordEnds,
} from "../../src/tokenizer/pretokenize/pretokenizer.ts";
import {
  ggufPretokenizer,
  ggufPretokenizerNames,
  pretokenizerNamed,
  pretokenizerNames,
} from "../../src/tokenizer/pretokenize/registry.ts";
import { Class } from "../../src/tokenizer/unicode/characters.ts";
import { UnsupportedError } from "../../src/util/errors.ts";
import { hardCharacters } from "../support/byte_vocabularies.ts";
import { isClassedAlike } from "../support/unicode.ts";
import { assertRefused } from "../support/vocabularies.ts";

/** One pass over the words; `collapses`: whitespace beyond ASCII is replaced first, as std::wregex needs it. */
interface Pattern {
  readonly pattern: RegExp;
  readonly collapses?: boolean;
}
type Pass = Pattern | ((text: string) => string[]);

function splitPass(text: string, pass: Pass): string[] {
  if (typeof pass === "function") return pass(text);
  const { pattern, collapses = false } = pass;
  const seen = collapses ? text.replace(/(?![\t-\r ])\p{White_Space}/gu, "\v") : text;
  const words: string[] = [];
  let end = 0;
  for (const match of seen.matchAll(pattern)) {
    if (match.index > end) words.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[0] !== "") words.push(text.slice(match.index, end));
  }
  if (end < text.length) words.push(text.slice(end));
  return words;
}

function splitSlowly(text: string, passes: readonly Pass[]): string[] {
  return passes.reduce(
    (words, pass) => words.flatMap((word) => splitPass(word, pass)),
    text === "" ? [] : [text],
  );
}

function split(text: string, pretokenizer: Pretokenizer): string[] {
  const ends = new WordEnds();
  pretokenizer.split(new ClassifiedText(text), 0, text.length, ends);
  const wellFormed = text.toWellFormed();
  return Array.from(ends.values.subarray(0, ends.length), (end, i) =>
    wellFormed.slice(i === 0 ? 0 : ends.values[i - 1], end),
  );
}

/** A pattern with \s and \S as Rust, Oniguruma and llama.cpp have them. */
function pass(source: string, collapses = false): Pass {
  return {
    pattern: new RegExp(
      source.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"),
      "gu",
    ),
    collapses,
  };
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const ASCII = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const FOLDED = "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const TAIL = `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
const llama3 = (contractions: string) => `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${TAIL}`;
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const U = "(?:(?=\\p{L})[^a-z])";
const W = "(?:(?=\\p{L})[^A-Z])";
const U_MARKS = "(?:(?=[\\p{L}\\p{M}])[^a-z])";
const W_MARKS = "(?:(?=[\\p{L}\\p{M}])[^A-Z])";
const P = "[^\\r\\n\\p{L}\\p{N}]?";
const CASED_TAIL = `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
const o200k = `${P}${UPPER}*${LOWER}+(?:${FOLDED})?|${P}${UPPER}+${LOWER}*(?:${FOLDED})?|\\p{N}{1,3}${CASED_TAIL}`;
const DEEPSEEK_WORDS =
  "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+";
const DEEPSEEK = `${DEEPSEEK_WORDS}[\\r\\n]*|${SPACES}`;
const DEEPSEEK_CJK = "[\\u4e00-\\u9fa5\\u3040-\\u309f\\u30a0-\\u30ff]+";
const X = "[\\p{L}\\p{M}]";
const HAN =
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}\\u{2b820}-\\u{2ceaf}" +
  "\\u{2ceb0}-\\u{2ebef}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]";
const NO_HAN = `(?:(?!${HAN})\\p{L})`;
const HALVED = [512, 256, 128, 64, 32, 16, 8, 4].map((n) => `\\s{${n}}(?!\\S)`).join("|");
/** Each character after each that a group of digits ends at, counted in threes from the end of a number. */
const digitGroups = (text: string): string[] =>
  text
    .replace(/\p{N}+/gu, (number) => {
      const digits = [...number];
      return digits.map((digit, i) => ((digits.length - i) % 3 === 1 ? `${digit}\ue001` : digit)).join("");
    })
    .split("\ue001")
    .filter((word) => word !== "");
const LETTERS_OF_DEEPSEEK =
  "A-Za-z\\xb5\\xc0-\\xd6\\xd8-\\xf6\\xf8-\\u01ba\\u01bc-\\u01bf\\u01c4-\\u0293\\u0295-\\u02af\\u0370-\\u0373\\u0376\\u0377\\u037b-\\u037d\\u037f\\u0386" +
  "\\u0388-\\u038a\\u038c\\u038e-\\u03a1\\u03a3-\\u03f5\\u03f7-\\u0481\\u048a-\\u052f\\u0531-\\u0556\\u10a0-\\u10c5\\u13a0-\\u13f5\\u13f8-\\u13fd\\u1c90-\\u1cba" +
  "\\u1cbd-\\u1cbf\\u1d00-\\u1d2b\\u1d6b-\\u1d77\\u1d79-\\u1d9a\\u1e00-\\u1f15\\u1f18-\\u1f1d\\u1f20-\\u1f45\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d" +
  "\\u1f5f-\\u1f7d\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc\\u1fd0-\\u1fd3\\u1fd6-\\u1fdb\\u1fe0-\\u1fec\\u1ff2-\\u1ff4\\u1ff6-\\u1ffc" +
  "\\u2102\\u2107\\u210a-\\u2113\\u2115\\u2119-\\u211d\\u2124\\u2126\\u2128\\u212a-\\u212d\\u212f-\\u2134\\u2139\\u213c-\\u213f\\u2145-\\u2149\\u214e\\u2183" +
  "\\u2184\\u2c00-\\u2c7b\\u2c7e-\\u2ce4\\u2ceb-\\u2cee\\u2cf2\\u2cf3\\ua640-\\ua66d\\ua680-\\ua69b\\ua722-\\ua76f\\ua771-\\ua787\\ua78b-\\ua78e\\uab70-\\uabbf" +
  "\\ufb00-\\ufb06\\ufb13-\\ufb17\\uff21-\\uff3a\\uff41-\\uff5a\\u{10400}-\\u{1044f}\\u{104b0}-\\u{104d3}\\u{104d8}-\\u{104fb}\\u{10c80}-\\u{10cb2}" +
  "\\u{10cc0}-\\u{10cf2}\\u{118a0}-\\u{118df}\\u{1e900}-\\u{1e943}";
const BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+";

/** What each kind of pre-tokenizer stands for, by one of its names. Source: llama.cpp, llama-vocab.cpp; tiktoken. */
const references: Record<string, readonly Pass[]> = {
  default: [pass("[\\p{P}$+<=>^~|]+"), pass(GPT2), pass("\\p{N}+"), pass("[0-9][0-9][0-9]", true)],
  "gpt-2": [pass(GPT2)],
  "llama-bpe": [pass(llama3(ASCII))],
  qwen2: [pass(`${ASCII}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${TAIL}`)],
  qwen35: [
    pass(
      `${ASCII}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ),
  ],
  starcoder: [pass("\\p{N}"), pass(GPT2)],
  falcon: [pass("[\\p{P}$+<=>^~|`]+"), pass(GPT2), pass("[0-9][0-9][0-9]", true)],
  "deepseek-llm": [
    pass("[\\r\\n]", true),
    pass(`\\s?[${LETTERS_OF_DEEPSEEK}]+`, true),
    pass("\\s?[!-\\/:-~！-／：-～‘-‟\\u3000-\\u3002]+", true),
    pass("\\s+$", true),
    pass("[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+", true),
    pass("\\p{N}+"),
  ],
  "deepseek-coder": [
    pass("[\\r\\n]", true),
    pass("\\s?\\p{L}+"),
    pass("\\s?\\p{P}+"),
    pass("[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+", true),
    pass("\\p{N}"),
  ],
  "deepseek-v3": [pass("\\p{N}{1,3}"), pass(DEEPSEEK_CJK, true), pass(DEEPSEEK)],
  spark2_5: [
    pass("\\p{N}{1,3}"),
    pass(DEEPSEEK_CJK, true),
    pass(`${DEEPSEEK_WORDS}|[\\r\\n]|\\s+(?!\\S)|\\s+`),
    pass("\\p{N}"),
  ],
  afmoe: [
    digitGroups,
    pass(
      "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\uf900-\\ufaff\\u3040-\\u309f\\u30a0-\\u30ff\\uff65-\\uff9f\\u2f00-\\u2fdf\\u0e40-\\u0e7f" +
        "\\u0e80-\\u0eff\\u1780-\\u17ff\\u1000-\\u109f\\uaa60-\\uaa7f\\ua9e0-\\ua9ff\\uac00-\\ud7af\\u1100-\\u11ff]+",
      true,
    ),
    pass(DEEPSEEK),
  ],
  youtu: [
    pass(
      "[\\uac00-\\ud7a3\\u3131-\\u318e]+|[！…“”‘’—：；，、-\\u303f\\ufe30-\\ufe4f]+|[\\u3105-\\u312f]+|" +
        DEEPSEEK_CJK,
      true,
    ),
    pass(`${P}${X}*${X}+(?:${ASCII})?|${P}${X}+${X}*(?:${ASCII})?|\\p{N}${CASED_TAIL}`),
  ],
  tiny_aya: [
    digitGroups,
    pass(`${P}${X}*${X}+(?:${ASCII})?|${P}${X}+${X}*(?:${ASCII})?|\\p{N}{1,3}${CASED_TAIL}`),
  ],
  "granite-embed-multi-97m": [
    pass(
      `${P}${U_MARKS}*${W_MARKS}+(?:${ASCII})?|${P}${U_MARKS}+${W_MARKS}*(?:${ASCII})?|\\p{N}{1,3}${CASED_TAIL}`,
    ),
  ],
  "jais-2": [
    pass(
      `${ASCII}|${P}\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|${HALVED}|\\s{1,2}(?!\\S)|\\s{1}`,
    ),
  ],
  "seed-coder": [pass(`${ASCII}|${P}\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`)],
  ufakzeka: [pass(`${P}\\p{L}+|\\p{N}${TAIL}`)],
  minicpm5: [pass("\\p{N}{1,3}"), pass(`${ASCII}|${P}\\p{L}+|\\p{N}+${TAIL}`)],
  bailingmoe: [
    pass(
      `'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|${P}\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
    ),
  ],
  laguna: [pass("[^\\n]+|[\\n]+"), pass(`${ASCII}|${P}\\p{L}+|\\p{N}${TAIL}`)],
  "exaone-moe": [
    pass(
      `${ASCII}|${P}(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
    ),
  ],
  "kimi-k2": [pass(`${HAN}+|${P}${NO_HAN}+(?:${ASCII})?|\\p{N}{1,3}${TAIL}`)],
  superbpe: [pass("\\p{N}+"), pass("(?=(\\d{3})+(?!\\d))")],
  chameleon: [
    pass("<sentinel:[0-9]+>"),
    pass("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
    pass("([\\t\\n]|    |  )"),
    pass("\\p{N}"),
    pass("[\\p{P}!-/:-@\\[-`{-~]"),
    pass(GPT2),
  ],
  tekken: [pass(`${P}${U}*${W}+|${P}${U}+${W}*|\\p{N}${CASED_TAIL}`)],
  "gpt-4o": [pass(`${P}${U}*${W}+(?:${ASCII})?|${P}${U}+${W}*(?:${ASCII})?|\\p{N}{1,3}${CASED_TAIL}`)],
  bloom: [pass(BLOOM, true)],
  viking: [pass(BLOOM, true), pass("\\p{N}")],
  gpt2: [pass(GPT2)],
  r50k_base: [pass("'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+$|\\s+(?!\\S)|\\s")],
  p50k_base: [pass(GPT2)],
  cl100k_base: [
    pass(
      `${FOLDED}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s+$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s`,
    ),
  ],
  o200k_base: [pass(o200k)],
  llama3_tiktoken: [pass(llama3(FOLDED))],
};

/** Random text of characters that the runtime and the tables class alike. */
const known = fc
  .integer({ min: 0, max: 0x10ffff })
  .map((character) => String.fromCodePoint(character))
  .filter(isClassedAlike);
const pieces = [
  ..."ＡＦ᠋ใກကᄀ가힣ㄱㄅ￭ﾟꩠꧠ⼀㐀豈",
  "<sentinel:",
  "<sentinel:12>",
  "IMGIMG",
  "IMGIMGAIZ",
  "Z",
  "1234567",
  "    ",
  "~'",
];
const texts = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...hardCharacters) },
      { weight: 2, arbitrary: fc.constantFrom(...pieces) },
      { weight: 1, arbitrary: known },
    ),
    {
      maxLength: 40,
    },
  )
  .map((characters) => characters.join(""));

describe("pre-tokenizers", () => {
  for (const [name, passes] of Object.entries(references)) {
    it(`pretokenizerNamed("${name}") splits as its regular expressions do`, () => {
      const pretokenizer = pretokenizerNamed(name);
      assert.equal(pretokenizer.name, name);
      fc.assert(
        fc.property(texts, (text) => {
          assert.deepEqual(split(text, pretokenizer), splitSlowly(text.toWellFormed(), passes));
        }),
        { numRuns: 1500 },
      );
    });
  }

  it('pretokenizerNamed("jais-2") cuts long runs of spaces as its regular expression does', () => {
    const passes = references["jais-2"] as readonly Pass[];
    for (let n = 1; n < 1100; n += n < 70 ? 1 : 37) {
      for (const space of [" ", "\u3000", "\t"]) {
        for (const after of ["", "a", "1", "!", "\n", "\n a"]) {
          const text = `x${space.repeat(n)}${after}`;
          assert.deepEqual(
            split(text, pretokenizerNamed("jais-2")),
            splitSlowly(text, passes),
            JSON.stringify(text),
          );
        }
      }
    }
  });

  it("names that llama.cpp takes for one kind split alike", () => {
    const kinds: Record<string, readonly string[]> = {
      "llama-bpe": ["llama3", "llama-v3", "smaug-bpe", "dbrx", "falcon3", "pixtral", "jina-v5-nano"],
      "gpt-2": ["phi-2", "mpt", "olmo", "jais", "jina-v2-de", "modern-bert", "roberta-bpe"],
      qwen2: ["deepseek-r1-qwen", "stablelm2", "megrez"],
      starcoder: ["refact", "command-r", "smollm", "codeshell", "exaone"],
      "gpt-4o": ["llama4"],
      "deepseek-v3": ["hy_v4", "joyai-llm", "hunyuan-dense"],
      bailingmoe: ["bailingmoe2", "llada-moe", "qwen2"],
      tiny_aya: ["cohere2moe"],
    };
    const text = hardCharacters.join("") + hardCharacters.toReversed().join(" ");
    for (const [name, others] of Object.entries(kinds)) {
      const expected = split(text, pretokenizerNamed(name));
      for (const other of others) assert.deepEqual(split(text, pretokenizerNamed(other)), expected, other);
    }
  });

  it("ggufPretokenizer() says what llama.cpp sets with a name", () => {
    const settings = (name: string) => {
      const found = ggufPretokenizer(name);
      return found && [found.wholeWords, found.addBos];
    };
    for (const name of ["llama-bpe", "llama3", "llama-v3", "jina-v5-nano", "tekken"])
      assert.deepEqual(settings(name), [true, true], name);
    for (const name of [
      "default",
      "gpt-2",
      "qwen2",
      "smaug-bpe",
      "gpt-4o",
      "smollm",
      "command-r",
      "falcon",
    ]) {
      assert.deepEqual(settings(name), [false, false], name);
    }
    for (const name of ["minicpm5", "youtu", "granite-embed-multi-97m"])
      assert.deepEqual(settings(name), [true, false], name);
    assert.deepEqual(settings("chameleon"), [false, true]);
    for (const name of ggufPretokenizerNames) {
      assert.equal(ggufPretokenizer(name)?.defaultBos, !["glm4", "chatglm-bpe"].includes(name), name);
    }
    for (const name of ["", "gpt4o", "LLAMA3", "__proto__", "constructor", "cl100k_base"]) {
      assert.equal(settings(name), undefined, name);
    }
  });

  it("pretokenizerNamed() lists the names it knows when it is asked for another", () => {
    for (const name of ["", "llama4-bpe", "__proto__", "toString"]) {
      assertRefused(
        () => pretokenizerNamed(name),
        UnsupportedError,
        /^Cannot split text: Unknown pre-tokenizer ".*"; supported: default, llama-bpe, .*, cl100k_base, o200k_base/,
      );
    }
    for (const name of pretokenizerNames) assert.deepEqual(split("", pretokenizerNamed(name)), []);
    assert.ok(ggufPretokenizerNames.every((name) => pretokenizerNames.includes(name)));
  });

  it("split() takes a part of a text for a text of its own", () => {
    const text = new ClassifiedText("a \n b  c");
    const ends = new WordEnds();
    pretokenizerNamed("llama-bpe").split(text, 1, 7, ends);
    assert.deepEqual(Array.from(ends.values.subarray(0, ends.length)), [3, 5, 7]);
  });

  it("split() is linear in long runs of anything", () => {
    const units = [
      "a",
      "A",
      "中",
      "😀",
      " ",
      "\n",
      " \n",
      "\u3000",
      "1",
      "!",
      "~",
      "'",
      "Aa",
      "中A",
      "\u0301",
      "\u0301A",
      "/",
      "\0",
      "\ud800",
    ];
    for (const name of Object.keys(references)) {
      const pretokenizer = pretokenizerNamed(name);
      for (const unit of units) {
        const text = new ClassifiedText(unit.repeat(2e4));
        const ends = new WordEnds();
        pretokenizer.split(text, 0, text.length, ends);
        assert.equal(ends.values[ends.length - 1], text.length, `${name} ${JSON.stringify(unit)}`);
      }
    }
  });
});

describe("ClassifiedText", () => {
  it("constructor() replaces lone surrogates and keeps pairs", () => {
    const { units, classes, length } = new ClassifiedText("a\ud800😀\udc00\ud83d");
    assert.deepEqual(Array.from(units), [0x61, 0xfffd, 0xd83d, 0xde00, 0xfffd, 0xfffd]);
    assert.deepEqual(Array.from(classes), [Class.asciiLower, ...Array(5).fill(Class.symbol)]);
    assert.equal(length, 6);
    assert.equal(new ClassifiedText("").length, 0);
  });

  it("constructor() uses the memory of another where that is large enough", () => {
    const first = new ClassifiedText("abcdef");
    const second = new ClassifiedText("xyz", first);
    assert.equal(second.units, first.units);
    assert.deepEqual([second.length, second.units[0]], [3, 0x78]);
    assert.notEqual(new ClassifiedText("abcdefg", first).units, first.units);
  });
});

describe("sequence()", () => {
  it("sequence() of no stage leaves a text whole, of one is that one, of three goes on", () => {
    const each = (character: string) =>
      matches(character, ({ units }, i) => (units[i] === character.charCodeAt(0) ? i + 1 : i));
    assert.deepEqual(split("abc", sequence("none", [])), ["abc"]);
    assert.deepEqual(split("abcb", sequence("one", [each("b")])), ["a", "b", "c", "b"]);
    assert.deepEqual(split("abcdae", sequence("three", [each("b"), each("d"), each("a")])), [
      "a",
      "b",
      "c",
      "d",
      "a",
      "e",
    ]);
  });
});
