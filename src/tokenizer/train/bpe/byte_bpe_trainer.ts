// Trains byte-level BPE and writes it as a tiktoken rank file.
import { TokenizerError } from "../../../util/errors.ts";
import { DEFAULT_PATTERN } from "../../byte_level/tiktoken_file.ts";
import { ClassifiedText } from "../../pretokenize/classified_text.ts";
import { type Pretokenizer, WordEnds } from "../../pretokenize/pretokenizer.ts";
import { pretokenizerNamed } from "../../pretokenize/registry.ts";
import { type ByteBpeOptions, type Corpus, checkNumber, LIMITS, type TrainedTokenizer } from "../options.ts";
import { Pace } from "../pace.ts";
import { countWord } from "../text/corpus.ts";
import { textParts, withoutBroken } from "../text/lines.ts";
import { learnMerges } from "./merge_learner.ts";

/** Tokens that are single bytes. */
const BYTES = 256;

/** UTF-16 units of text that are split into words at once. */
const BLOCK_UNITS = 1 << 20;

/** A line end between two words: whatever the pattern, the text before and after it is split alike. */
const CALM_LINE_END = /\S\n(?=\S)/g;

/** How far back from the end of a block a good place to cut it is looked for. */
const CUT_UNITS = 1 << 16;

const utf8 = new TextEncoder();

/**
 * Trains byte-level BPE, and writes it as a tiktoken rank file: bytes first, in GPT-2's order, then what was
 * merged. The corpus is split into words a block of about a million characters at a time, cut at line ends.
 * @throws UsageError for wrong settings; UnsupportedError for an unknown pattern; TokenizerError for a corpus
 *   that gives too little; the signal's reason
 */
export async function trainByteBpe(options: ByteBpeOptions): Promise<TrainedTokenizer> {
  const { hardVocabLimit = true, pattern = DEFAULT_PATTERN } = options;
  const wanted = checkNumber("vocabSize", options.vocabSize, { ...LIMITS.vocabSize, min: BYTES });
  const longest = checkNumber("maxPieceLength", options.maxPieceLength ?? 128, LIMITS.byteBpePieceLength);
  const pretokenizer = pretokenizerNamed(pattern);
  const pace = new Pace(options.signal, options.onProgress);
  await pace.rest("reading");
  const words = await countWords(options.corpus, pretokenizer, pace);
  if (words.size === 0)
    throw new TokenizerError("Cannot train: Expected text to learn from, the corpus has none");
  const task = {
    words: splitBytes(words),
    limit: wanted - BYTES,
    isValid: (_: string, n: number) => n <= longest,
    mergeKnown: true,
    learnPast: false,
  };
  const merges = await learnMerges(task, pace);
  const vocabSize = BYTES + merges.length;
  if (hardVocabLimit && vocabSize < wanted) {
    throw new TokenizerError(
      `Cannot train: Expected vocabSize to be at most ${vocabSize}, which is all that the corpus gives, got ${wanted}`,
    );
  }
  await pace.rest("writing");
  return { bytes: rankFile([...singleBytes(), ...merges]), vocabSize, skipped: { tooLong: 0, reserved: 0 } };
}

async function countWords(
  corpus: Corpus,
  pretokenizer: Pretokenizer,
  pace: Pace,
): Promise<Map<string, number>> {
  const words = new Map<string, number>();
  const ends = new WordEnds();
  const count = async (text: string) => {
    ends.clear();
    pretokenizer.split(new ClassifiedText(text), 0, text.length, ends);
    let begin = 0;
    for (let i = 0; i < ends.length; i++) {
      const end = ends.values[i] as number;
      countWord(words, text.slice(begin, end));
      begin = end;
    }
    await pace.rest("reading");
  };
  let pending = "";
  for await (const part of textParts(corpus)) {
    pending += withoutBroken(part);
    while (pending.length > BLOCK_UNITS) {
      const cut = placeToCut(pending);
      await count(pending.slice(0, cut));
      pending = pending.slice(cut);
    }
  }
  await count(pending);
  return words;
}

/** Where to end the first block of a text: a place that depends on the text alone. */
function placeToCut(text: string): number {
  const tail = text.slice(BLOCK_UNITS - CUT_UNITS, BLOCK_UNITS);
  const calm = Array.from(tail.matchAll(CALM_LINE_END), ({ index }) => index).at(-1);
  if (calm !== undefined) return BLOCK_UNITS - CUT_UNITS + calm + 2;
  const lineEnd = tail.lastIndexOf("\n");
  if (lineEnd >= 0) return BLOCK_UNITS - CUT_UNITS + lineEnd + 1;
  const last = text.charCodeAt(BLOCK_UNITS - 1);
  // Not between the halves of a character.
  return last >= 0xd800 && last < 0xdc00 ? BLOCK_UNITS - 1 : BLOCK_UNITS;
}

/** Words as their UTF-8, a character of Latin-1 for each byte. */
function* splitBytes(words: ReadonlyMap<string, number>): Generator<[string[], number]> {
  for (const [word, n] of words)
    yield [Array.from(utf8.encode(word), (byte) => String.fromCharCode(byte)), n];
}

/** All bytes, those that print in Latin-1 first. Source: openai/gpt-2, encoder.py (bytes_to_unicode). */
function singleBytes(): string[] {
  const prints = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const bytes = Array.from({ length: BYTES }, (_, byte) => byte);
  return [...bytes.filter(prints), ...bytes.filter((byte) => !prints(byte))].map((byte) =>
    String.fromCharCode(byte),
  );
}

/** A line for each token: its bytes in base64, a space, its rank. */
function rankFile(tokens: readonly string[]): Uint8Array<ArrayBuffer> {
  return utf8.encode(tokens.map((token, rank) => `${btoa(token)} ${rank}\n`).join(""));
}
