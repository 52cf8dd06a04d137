// Regular expressions of tokenizer.json files that have a hand-written scanner.
import type { Pretokenizer } from "../pretokenize/pretokenizer.ts";
import { sequence, words } from "../pretokenize/pretokenizer.ts";
import { CASED, casedScanner, LETTER, MARK, NUMBER, scanGpt2, wordScanner } from "../pretokenize/scanners.ts";
import { deepseekWords, each, numbers, rangesOf, runs, setOf } from "../pretokenize/stages.ts";
import { GPT2_PATTERN, type PreTokenizer } from "./pre_tokenizers.ts";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const SIGNS = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

function cased(contraction: string, digits: string): string {
  const prefix = "[^\\r\\n\\p{L}\\p{N}]?";
  const first = `${prefix}${UPPER}*${LOWER}+${contraction}`;
  const second = `${prefix}${UPPER}+${LOWER}*${contraction}`;
  return `${first}|${second}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

/** Patterns that have a scanner, as files spell them, by the models that brought them. */
export const scanners: ReadonlyMap<string, Pretokenizer> = new Map([
  [GPT2_PATTERN, words("GPT-2", scanGpt2)],
  [
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${SIGNS}`,
    words("Llama 3", wordScanner({ contractions: "folded", digits: 3 })),
  ],
  [
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${SIGNS}`,
    words("Qwen 2", wordScanner({ contractions: "folded", digits: 1 })),
  ],
  [
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    words("Qwen 3.5", wordScanner({ contractions: "folded", letters: LETTER | MARK, digits: 1 })),
  ],
  [cased("", "\\p{N}"), words("Tekken", casedScanner({ ...CASED, digits: 1 }))],
  [
    cased(`${CONTRACTIONS}?`, "\\p{N}{1,3}"),
    words("GPT-4o", casedScanner({ ...CASED, contractions: "folded", digits: 3 })),
  ],
  ["\\p{N}{1,3}", numbers(3)],
  ["\\p{N}", each(setOf(NUMBER))],
  ["[一-龥\u3040-ゟ゠-ヿ]+", runs(rangesOf("3040-30FF 4E00-9FA5"))],
  [
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    deepseekWords(),
  ],
]);

/**
 * The splitting of stages that end in ByteLevel and have scanners, done without regular expressions; undefined
 * for other stages. The prefix that ByteLevel may put before a text is not part of it.
 */
export function knownPretokenizer(stages: readonly PreTokenizer[]): Pretokenizer | undefined {
  const last = stages.at(-1);
  if (last?.kind !== "byteLevel") return undefined;
  const parts: Pretokenizer[] = [];
  for (const stage of stages.slice(0, -1)) {
    const isIsolated = stage.kind === "split" && stage.behavior === "Isolated";
    const found =
      isIsolated && stage.pattern.source !== undefined ? scanners.get(stage.pattern.source) : undefined;
    if (found === undefined) return undefined;
    parts.push(found);
  }
  if (last.useRegex) parts.push(scanners.get(GPT2_PATTERN) as Pretokenizer);
  return sequence("tokenizer.json", parts);
}
