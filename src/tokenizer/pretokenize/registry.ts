// All pre-tokenizers by the names that vocabulary files call them by.
import { quoted } from "../../util/bytes.ts";
import { UnsupportedError } from "../../util/errors.ts";
import { scanExaoneMoe, scanImageToken, scanIndent, scanKimiK2, scanSentinel } from "./family_scanners.ts";
import { matches, type Pretokenizer, sequence, words } from "./pretokenizer.ts";
import {
  CASED,
  CASED_IN_ASCII,
  CASED_IN_ASCII_WITH_MARKS,
  casedScanner,
  LETTER,
  MARK,
  NEWLINE,
  NUMBER,
  PUNCTUATION,
  scanGpt2,
  UNCASED_WITH_MARKS,
  WHITESPACE,
  wordScanner,
} from "./scanners.ts";
import {
  deepseekWords,
  digitCuts,
  digitGroups,
  digitTriples,
  each,
  halvedSpaces,
  linesAndEnds,
  numbers,
  rangesOf,
  runs,
  setOf,
  spacedRuns,
  spacesAtEnd,
} from "./stages.ts";

/** What a value of tokenizer.ggml.pre says besides how texts are split. */
export interface GgufPretokenizer {
  readonly pretokenizer: Pretokenizer;
  /** llama.cpp's ignore_merges: a word that is a token as a whole is not merged. */
  readonly wholeWords: boolean;
  /** Whether BOS is added if the file does not say. */
  readonly addBos: boolean;
  /** Whether a special token at llama.cpp's default id is BOS if the file names none. */
  readonly defaultBos: boolean;
}

const gpt2 = words("gpt-2", scanGpt2);
const llama3 = words("llama-bpe", wordScanner({ contractions: "ascii", digits: 3 }));
const qwen2 = words("qwen2", wordScanner({ contractions: "ascii", digits: 1 }));
const digit = each(setOf(NUMBER));

/** Cased letters, as of Unicode 11, which deepseek-llm lists one by one. */
const CASED_LETTERS = rangesOf(
  "41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376-377 37B-37D 37F 386 388-38A 38C 38E-3A1 " +
    "3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 " +
    "1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC " +
    "1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 " +
    "2119-211D 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183-2184 2C00-2C7B 2C7E-2CE4 " +
    "2CEB-2CEE 2CF2-2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 " +
    "FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943",
);
/** [!-/:-~] and their full-width forms, quotation marks, the ideographic comma and full stop. */
const DEEPSEEK_PUNCTUATION = rangesOf("21-2F 3A-7E 2018-201F 3000-3002 FF01-FF0F FF1A-FF5E");
const DEEPSEEK_CJK = rangesOf("800-9FA5 AC00-D7FF");
const DEEPSEEK_V3_CJK = rangesOf("3040-30FF 4E00-9FA5");
/** Scripts without spaces between words, and Hangul. */
const AFMOE_SCRIPTS = rangesOf(
  "E40-EFF 1000-109F 1100-11FF 1780-17FF 2F00-2FDF 3040-30FF 3400-4DBF 4E00-9FFF A9E0-A9FF AA60-AA7F AC00-D7AF " +
    "F900-FAFF FF65-FF9F",
);
/** Hangul; marks of East Asian texts; Bopomofo; Chinese characters and Kana: a word is of one of these. */
const YOUTU_SCRIPTS = [
  "3131-318E AC00-D7A3",
  "2014 2018-2019 201C-201D 2026 3001-303F FE30-FE4F FF01 FF0C FF1A-FF1B",
  "3105-312F",
  "3040-30FF 4E00-9FA5",
].map(rangesOf);
/** [^(\s|.,!?…。，、।۔،)] */
const BLOOM_ENDS = setOf(WHITESPACE, "(|.,!?…。，、।۔،)");

const bloom = matches("bloom", (text, i, end) => {
  let last = text.units[i] === 0x20 && i + 1 < end && !BLOOM_ENDS(text, i + 1) ? i + 1 : i;
  while (last < end && !BLOOM_ENDS(text, last)) last++;
  return last;
});

/** How llama.cpp splits, by its own names for the kinds (LLAMA_VOCAB_PRE_TYPE_*). */
const kinds = {
  default: sequence("default", [
    runs(setOf(PUNCTUATION, "$+<=>^~|")),
    gpt2,
    numbers(Number.POSITIVE_INFINITY),
    digitTriples,
  ]),
  gpt2,
  llama3,
  qwen2,
  qwen35: words("qwen35", wordScanner({ contractions: "ascii", letters: LETTER | MARK, digits: 1 })),
  starcoder: sequence("starcoder", [digit, gpt2]),
  falcon: sequence("falcon", [runs(setOf(PUNCTUATION, "$+<=>^~|`")), gpt2, digitTriples]),
  deepseekLlm: sequence("deepseek-llm", [
    each(setOf(NEWLINE)),
    spacedRuns(CASED_LETTERS),
    spacedRuns(DEEPSEEK_PUNCTUATION),
    spacesAtEnd,
    runs(DEEPSEEK_CJK),
    numbers(Number.POSITIVE_INFINITY),
  ]),
  deepseekCoder: sequence("deepseek-coder", [
    each(setOf(NEWLINE)),
    spacedRuns(setOf(LETTER)),
    spacedRuns(setOf(PUNCTUATION)),
    runs(DEEPSEEK_CJK),
    digit,
  ]),
  deepseekV3: sequence("deepseek-v3", [numbers(3), runs(DEEPSEEK_V3_CJK), deepseekWords()]),
  spark: sequence("spark2_5", [numbers(3), runs(DEEPSEEK_V3_CJK), deepseekWords(false), digit]),
  afmoe: sequence("afmoe", [digitGroups, runs(AFMOE_SCRIPTS), deepseekWords()]),
  // The spaces before a word are the same words whether they are cut at once or afterwards.
  jais2: sequence("jais-2", [llama3, halvedSpaces]),
  seedCoder: words("seed-coder", wordScanner({ contractions: "ascii", digits: 1, signsTakeLines: false })),
  ufakzeka: words("ufakzeka", wordScanner({ digits: 1 })),
  minicpm5: sequence("minicpm5", [
    numbers(3),
    words("words", wordScanner({ contractions: "ascii", digits: Number.POSITIVE_INFINITY })),
  ]),
  laguna: sequence("laguna", [linesAndEnds, qwen2]),
  exaoneMoe: words("exaone-moe", scanExaoneMoe),
  kimiK2: words("kimi-k2", scanKimiK2),
  superbpe: sequence("superbpe", [numbers(Number.POSITIVE_INFINITY), digitCuts]),
  chameleon: sequence("chameleon", [
    matches("sentinels", scanSentinel),
    matches("images", scanImageToken),
    matches("indents", scanIndent),
    digit,
    each(setOf(PUNCTUATION, "$+<=>^`|~")),
    gpt2,
  ]),
  graniteEmbed: words(
    "granite-embed-multi-97m",
    casedScanner({ ...CASED_IN_ASCII_WITH_MARKS, contractions: "ascii", digits: 3 }),
  ),
  tinyAya: sequence("tiny_aya", [
    digitGroups,
    words("words", casedScanner({ ...UNCASED_WITH_MARKS, contractions: "ascii", digits: 3 })),
  ]),
  youtu: sequence("youtu", [
    matches("scripts", (text, i, end) => {
      const set = YOUTU_SCRIPTS.find((script) => script(text, i));
      let last = i;
      while (last < end && set?.(text, last)) last++;
      return last;
    }),
    words("words", casedScanner({ ...UNCASED_WITH_MARKS, contractions: "ascii", digits: 1 })),
  ]),
  tekken: words("tekken", casedScanner({ ...CASED_IN_ASCII, digits: 1 })),
  gpt4o: words("gpt-4o", casedScanner({ ...CASED_IN_ASCII, contractions: "ascii", digits: 3 })),
  bloom,
  viking: sequence("viking", [bloom, digit]),
} as const;

/** Names in tokenizer.ggml.pre, by kind, and what llama.cpp sets with them. Source: llama.cpp, llama-vocab.cpp. */
const ggufKinds: readonly (readonly [
  kind: keyof typeof kinds,
  names: string,
  settings?: { wholeWords?: true; addBos?: true; defaultBos?: false },
])[] = [
  ["default", "default"],
  [
    "llama3",
    "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    { wholeWords: true, addBos: true },
  ],
  ["llama3", "smaug-bpe dbrx"],
  ["llama3", "glm4 chatglm-bpe", { defaultBos: false }],
  [
    "gpt2",
    "gpt-2 phi-2 mpt olmo jais exaone4 gigachat a.x-4.0 mellum trillion granite-docling jina-es jina-de jina-v2-es " +
      "jina-v2-de modern-bert jina-v1-en jina-v2-code roberta-bpe",
  ],
  [
    "qwen2",
    "qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez kormo f2llmv2 grok-2 solar-open bailingmoe bailingmoe2 llada-moe",
  ],
  ["qwen35", "qwen35"],
  ["deepseekLlm", "deepseek-llm"],
  ["deepseekCoder", "deepseek-coder"],
  ["deepseekV3", "deepseek-v3 hunyuan-dense hy_v4 joyai-llm"],
  ["falcon", "falcon"],
  ["starcoder", "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2"],
  ["tekken", "tekken", { wholeWords: true, addBos: true }],
  ["gpt4o", "gpt-4o llama4 kanana2 talkie minimax-m2"],
  ["bloom", "bloom poro-chat gpt3-finnish"],
  ["viking", "viking"],
  ["spark", "spark2_5"],
  ["afmoe", "afmoe"],
  ["jais2", "jais-2"],
  ["seedCoder", "seed-coder"],
  ["ufakzeka", "ufakzeka"],
  ["minicpm5", "minicpm5", { wholeWords: true }],
  ["laguna", "laguna"],
  ["exaoneMoe", "exaone-moe"],
  ["kimiK2", "kimi-k2"],
  ["superbpe", "superbpe"],
  ["chameleon", "chameleon", { addBos: true }],
  ["graniteEmbed", "granite-embed-multi-97m", { wholeWords: true }],
  ["tinyAya", "tiny_aya cohere2moe"],
  ["youtu", "youtu", { wholeWords: true }],
];

const ggufNames = new Map<string, GgufPretokenizer>(
  ggufKinds.flatMap(([kind, names, { wholeWords = false, addBos = false, defaultBos = true } = {}]) =>
    names
      .split(" ")
      .map(
        (name) => [name, { pretokenizer: { ...kinds[kind], name }, wholeWords, addBos, defaultBos }] as const,
      ),
  ),
);

const cl100k = wordScanner({ contractions: "folded", digits: 3, joinsEnd: true });
const o200k = casedScanner({ ...CASED, contractions: "folded", digits: 3 });

/** The patterns of tiktoken's encodings, and that of Llama 3, which has the names of its GGUF files. */
const tiktokenNames = new Map<string, Pretokenizer>([
  ["gpt2", words("gpt2", scanGpt2)],
  ["r50k_base", words("r50k_base", scanGpt2)],
  ["p50k_base", words("p50k_base", scanGpt2)],
  ["cl100k_base", words("cl100k_base", cl100k)],
  ["o200k_base", words("o200k_base", o200k)],
  ["llama3_tiktoken", words("llama3_tiktoken", wordScanner({ contractions: "folded", digits: 3 }))],
]);

/** The values of tokenizer.ggml.pre that are known. */
export const ggufPretokenizerNames: readonly string[] = [...ggufNames.keys()];

/** Every name that {@link pretokenizerNamed} knows. */
export const pretokenizerNames: readonly string[] = [...ggufPretokenizerNames, ...tiktokenNames.keys()];

/**
 * The pre-tokenizer of a name.
 * @throws UnsupportedError for a name that is not known; lists those that are
 */
export function pretokenizerNamed(name: string): Pretokenizer {
  const found = tiktokenNames.get(name) ?? ggufNames.get(name)?.pretokenizer;
  if (found === undefined) {
    throw new UnsupportedError(
      `Cannot split text: Unknown pre-tokenizer ${quoted(name)}; supported: ${pretokenizerNames.join(", ")}`,
    );
  }
  return found;
}

/** What a value of tokenizer.ggml.pre stands for; undefined for one that is not known. */
export function ggufPretokenizer(name: string): GgufPretokenizer | undefined {
  return ggufNames.get(name);
}
