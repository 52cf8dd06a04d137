// Reads tiktoken rank files: a line for each token, its bytes in base64 and its rank.
import { FormatError } from "../../util/errors.ts";
import { MAX_PIECES } from "../core/limits.ts";
import { type ByteBpeData, TokenType } from "../core/vocabulary_data.ts";
import { pretokenizerNamed } from "../pretokenize/registry.ts";

/** The pattern of rank files that are none of the known ones: Llama 3's. */
export const DEFAULT_PATTERN = "llama-bpe";

/**
 * A rank may be this much above what the number of tokens would need: files leave out the ranks of special tokens,
 * and no memory is given out on the word of a rank.
 */
const MAX_GAPS = 1 << 12;

/** What is known of a rank file beyond its ranks. */
interface KnownEncoding {
  readonly pattern: string;
  readonly special: Readonly<Record<string, number>>;
  readonly bos: string;
  /** The first is EOS. */
  readonly ends: readonly string[];
  readonly addBos: boolean;
}

const gpt2Special = { "<|endoftext|>": 50256 };

function openai(pattern: string, special: Readonly<Record<string, number>>): KnownEncoding {
  return { pattern, special, bos: "<|endoftext|>", ends: ["<|endoftext|>"], addBos: false };
}

/**
 * The encodings whose files are recognised, by the number of tokens and the hash of their bytes in order of rank.
 * Special tokens: openai/tiktoken, tiktoken_ext/openai_public.py; meta-llama/llama-models, llama3/tokenizer.py.
 */
const known: Readonly<Record<string, KnownEncoding>> = {
  // gpt2 and r50k_base have the same ranks.
  "50256/192685962": openai("r50k_base", gpt2Special),
  "50280/2893218602": openai("p50k_base", gpt2Special),
  "100256/2347378716": openai("cl100k_base", {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
  }),
  "199998/2709190865": openai("o200k_base", { "<|endoftext|>": 199999, "<|endofprompt|>": 200018 }),
  "128000/3687573211": {
    pattern: "llama3_tiktoken",
    special: llama3Special(),
    bos: "<|begin_of_text|>",
    ends: ["<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"],
    addBos: true,
  },
};

function llama3Special(): Record<string, number> {
  const names = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>",
    "<|step_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<|image|>",
  ];
  for (let i = 2; names.length < 256; i++) names.push(`<|reserved_special_token_${i}|>`);
  return Object.fromEntries(names.map((name, i) => [name, 128000 + i]));
}

/** Whether bytes look like the first line of a rank file: base64, a space and a number. */
export function isTiktokenFile(bytes: Uint8Array): boolean {
  let i = 0;
  while (i < bytes.length && i < 1024 && (base64Values[bytes[i] as number] as number) >= 0) i++;
  while (bytes[i] === EQUALS) i++;
  if (i === 0 || bytes[i] !== SPACE) return false;
  const digit = bytes[i + 1] as number;
  return digit >= ZERO && digit <= NINE;
}

/**
 * Reads a tiktoken rank file: a token in base64, a space and its rank on every line. Ranks are ids and the order of
 * merging. Files of OpenAI's encodings (gpt2, r50k_base, p50k_base, cl100k_base, o200k_base) and Llama 3's are
 * recognised; they get their special tokens and their pattern. Any other file has no special tokens, and texts are
 * split by {@link DEFAULT_PATTERN}, unless `pattern` names another.
 *
 * Source: openai/tiktoken, tiktoken/load.py.
 * @param options.name what error messages call the file
 * @param options.pattern a name of pretokenize/registry.ts; goes before what the file is recognised as
 * @throws FormatError for a line that is not base64, a space and a rank; an empty token; two tokens of one rank;
 *   ranks far above the number of tokens; no tokens at all or too many
 * @throws UnsupportedError for a pattern that is not known
 */
export function parseTiktokenFile(
  bytes: Uint8Array,
  options: { name?: string; pattern?: string | undefined } = {},
): ByteBpeData {
  const { name = "tokenizer.model", pattern } = options;
  const lines = new RankReader(bytes, name).read();
  const ranked = orderByRank(lines, name);
  const encoding = recognise(lines.ranks.length, ranked.bytes);
  if (pattern !== undefined) pretokenizerNamed(pattern);
  const tokens = addSpecial(ranked, encoding?.special ?? {});
  const idOf = (text: string) => encoding?.special[text] as number;
  return {
    kind: "byte-bpe",
    ...tokens,
    pretokenizer: pattern ?? encoding?.pattern ?? DEFAULT_PATTERN,
    wholeWords: true,
    bosId: encoding && idOf(encoding.bos),
    eosIds: encoding?.ends.map(idOf) ?? [],
    unkId: undefined,
    addBos: encoding?.addBos ?? false,
    addEos: false,
  };
}

/** Tokens one after the other, in the order of the file or of their ranks. */
interface Tokens {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

interface Lines extends Tokens {
  readonly ranks: Uint32Array;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const EQUALS = 0x3d;
const ZERO = 0x30;
const NINE = 0x39;

/** Bytes of "YQ== 0" and a line break. */
const SHORTEST_LINE = 7;

const base64Values = new Int8Array(256).fill(-1);
for (const [value, character] of Array.from(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
).entries()) {
  base64Values[character.charCodeAt(0)] = value;
}

/** Reads the lines of a rank file, without a string or an object for each. */
class RankReader {
  readonly #source: Uint8Array;
  readonly #name: string;
  readonly #bytes: Uint8Array;
  #nBytes = 0;
  #position = 0;
  #line = 1;

  constructor(source: Uint8Array, name: string) {
    this.#source = source;
    this.#name = name;
    // Four characters make three bytes at most.
    this.#bytes = new Uint8Array(Math.ceil(source.length / 4) * 3);
  }

  read(): Lines {
    const most = Math.min(MAX_PIECES, Math.ceil(this.#source.length / SHORTEST_LINE));
    const offsets = new Uint32Array(most + 1);
    const ranks = new Uint32Array(most);
    let n = 0;
    for (; this.#position < this.#source.length; this.#line++) {
      if (this.#atLineEnd()) continue;
      if (n === most) throw this.#error(`Expected at most ${MAX_PIECES} tokens, got more`);
      this.#token();
      ranks[n++] = this.#rank();
      offsets[n] = this.#nBytes;
    }
    if (n === 0) throw this.#error("Expected tokens, got none");
    return {
      bytes: this.#bytes.subarray(0, this.#nBytes),
      offsets: offsets.subarray(0, n + 1),
      ranks: ranks.subarray(0, n),
    };
  }

  /** Reads base64 and the space after it. */
  #token(): void {
    const source = this.#source;
    const bytes = this.#bytes;
    let position = this.#position;
    let at = this.#nBytes;
    let bits = 0;
    let nBits = 0;
    for (; ; position++) {
      const value = base64Values[source[position] as number] as number;
      if (!(value >= 0)) break;
      bits = ((bits << 6) | value) & 0xffff;
      nBits += 6;
      if (nBits < 8) continue;
      nBits -= 8;
      bytes[at++] = bits >> nBits;
    }
    const n = position - this.#position;
    while (source[position] === EQUALS) position++;
    const padding = position - this.#position - n;
    this.#position = position;
    const isWhole = n > 0 && n % 4 !== 1 && padding < 3 && (n + padding) % 4 === 0;
    if (!isWhole || (bits & ((1 << nBits) - 1)) !== 0) throw this.#lineError("Expected a token in base64");
    if (source[position] !== SPACE) throw this.#lineError("Expected a space after the token");
    this.#nBytes = at;
    this.#position = position + 1;
  }

  #rank(): number {
    const source = this.#source;
    let position = this.#position;
    let rank = 0;
    for (; ; position++) {
      const digit = (source[position] as number) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      rank = Math.min(10 * rank + digit, MAX_PIECES);
    }
    const n = position - this.#position;
    this.#position = position;
    if (n === 0) throw this.#lineError("Expected a rank after the space");
    if (rank >= MAX_PIECES) throw this.#lineError(`Expected a rank below ${MAX_PIECES}`);
    if (position < source.length && !this.#atLineEnd()) {
      throw this.#lineError("Expected the line to end after the rank");
    }
    return rank;
  }

  /** Goes over a line break, if there is one. */
  #atLineEnd(): boolean {
    const source = this.#source;
    const position = this.#position;
    const n = source[position] === RETURN ? 1 : 0;
    if (source[position + n] !== NEWLINE) return false;
    this.#position = position + n + 1;
    return true;
  }

  #lineError(problem: string): FormatError {
    const source = this.#source;
    const position = this.#position;
    const got =
      position < source.length ? `byte ${source[position]} at offset ${position}` : "the end of the file";
    return this.#error(`Line ${this.#line}: ${problem}, got ${got}`);
  }

  #error(problem: string): FormatError {
    return new FormatError(`Cannot read ${this.#name}: ${problem}`);
  }
}

function orderByRank({ bytes, offsets, ranks }: Lines, name: string): Tokens {
  const n = ranks.length;
  let size = 0;
  let isInOrder = true;
  for (let line = 0; line < n; line++) {
    const rank = ranks[line] as number;
    if (rank !== line) isInOrder = false;
    if (rank >= size) size = rank + 1;
  }
  if (isInOrder) return { bytes, offsets };
  if (size > n + MAX_GAPS) {
    throw new FormatError(
      `Cannot read ${name}: Expected ranks below ${n + MAX_GAPS}, as there are ${n} tokens, got ${size - 1}`,
    );
  }
  const lines = new Int32Array(size).fill(-1);
  for (let line = 0; line < n; line++) {
    const rank = ranks[line] as number;
    if (lines[rank] !== -1) {
      throw new FormatError(`Cannot read ${name}: Expected one token of rank ${rank}, got two`);
    }
    lines[rank] = line;
  }
  const ordered = new Uint8Array(bytes.length);
  const ends = new Uint32Array(size + 1);
  let at = 0;
  for (let rank = 0; rank < size; rank++) {
    const line = lines[rank] as number;
    const begin = line < 0 ? 0 : (offsets[line] as number);
    const end = line < 0 ? 0 : (offsets[line + 1] as number);
    for (let i = begin; i < end; i++) ordered[at++] = bytes[i] as number;
    ends[rank + 1] = at;
  }
  return { bytes: ordered, offsets: ends };
}

function recognise(n: number, bytes: Uint8Array): KnownEncoding | undefined {
  const mayBe = Object.keys(known).some((key) => key.startsWith(`${n}/`));
  return mayBe ? known[`${n}/${hash(bytes)}`] : undefined;
}

/** FNV-1a. */
function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ (bytes[i] as number), 0x01000193);
  return value >>> 0;
}

/** Puts special tokens in, whose ids are above all ranks or in a gap between them. */
function addSpecial(
  { bytes, offsets }: Tokens,
  special: Readonly<Record<string, number>>,
): Pick<ByteBpeData, "bytes" | "offsets" | "types"> {
  const utf8 = new TextEncoder();
  const texts = Object.entries(special)
    .map(([text, id]) => ({ id, text: utf8.encode(text) }))
    .sort((a, b) => a.id - b.id);
  const nRanked = offsets.length - 1;
  const size = Math.max(nRanked, 1 + (texts.at(-1)?.id ?? -1));
  const all = new Uint8Array(texts.reduce((sum, { text }) => sum + text.length, bytes.length));
  const ends = new Uint32Array(size + 1);
  const types = new Uint8Array(size).fill(TokenType.normal);
  /** Bytes of special tokens so far: what comes after them lies so much further. */
  let moved = 0;
  let from = 0;
  const copyRanked = (to: number) => {
    const begin = offsets[Math.min(from, nRanked)] as number;
    all.set(bytes.subarray(begin, offsets[Math.min(to, nRanked)]), begin + moved);
    for (let id = from; id < to; id++) {
      ends[id + 1] = (offsets[Math.min(id + 1, nRanked)] as number) + moved;
      if (ends[id + 1] === ends[id]) types[id] = TokenType.unused;
    }
    from = to;
  };
  for (const { id, text } of texts) {
    copyRanked(id);
    all.set(text, ends[id]);
    moved += text.length;
    ends[id + 1] = (ends[id] as number) + text.length;
    types[id] = TokenType.control;
    from = id + 1;
  }
  copyRanked(size);
  return { bytes: all, offsets: ends, types };
}
