// Text to ids of a byte-level BPE vocabulary: pre-tokenizer, word cache, merging.
import type { TokenSink } from "../core/token_sink.ts";
import type { ByteBpeData } from "../core/vocabulary_data.ts";
import { ClassifiedText, characterAt } from "../pretokenize/classified_text.ts";
import { type Pretokenizer, WordEnds } from "../pretokenize/pretokenizer.ts";
import { ByteMerger } from "./byte_merger.ts";
import { ByteVocabulary } from "./byte_vocabulary.ts";
import { ByteWordCache, CACHED_UNITS } from "./byte_word_cache.ts";
import { ConcatenationRanks, MergeRanks } from "./pair_ranks.ts";

/** Units of the windows into which long words are cut. */
const WINDOW = CACHED_UNITS;
const LARGE_WINDOW = 16 * WINDOW;
/** Kinds of cache entries: a word, and a part of a word. A part is never looked up as a whole token. */
const WORD = 0;
const PART = 1;
const NONE = -1;
/** Buffers of texts up to this many units are reused for the next text. */
const KEPT_UNITS = 1 << 16;

/** What a {@link ByteBpeEncoder} needs of a vocabulary. */
export type ByteBpeMerges = Pick<ByteBpeData, "bytes" | "offsets" | "types" | "merges" | "wholeWords">;

/**
 * Text to ids of a byte-level BPE vocabulary: a pre-tokenizer splits words, and the bytes of each are merged. Words are
 * cached in a table of fixed size. No special tokens, no BOS or EOS.
 */
export class ByteBpeEncoder {
  readonly vocabulary: ByteVocabulary;
  readonly #merger: ByteMerger;
  readonly #wholeWords: boolean;
  readonly #ends = new WordEnds();
  #bytes = new Uint8Array(3 * CACHED_UNITS);
  #merged = new Int32Array(3 * CACHED_UNITS);
  #text: ClassifiedText | undefined;
  #cache: ByteWordCache | undefined;
  /** The last window's ids, from `at` on in `ids`, and the unit that the next window begins with. */
  readonly #found = { ids: new Int32Array(0), at: 0, count: 0, next: 0 };

  /** @throws FormatError if the data contradict themselves */
  constructor(data: ByteBpeMerges) {
    this.vocabulary = new ByteVocabulary(data);
    const { merges } = data;
    const ranks =
      merges === undefined
        ? new ConcatenationRanks(this.vocabulary)
        : new MergeRanks(merges, this.vocabulary);
    this.#merger = new ByteMerger(this.vocabulary, ranks);
    this.#wholeWords = data.wholeWords;
  }

  /**
   * Appends the ids of a text. Lone surrogates are encoded as U+FFFD.
   * @throws TokenizerError for a byte without a token
   */
  encode(text: string, pretokenizer: Pretokenizer, out: TokenSink): void {
    const classified = this.classify(text);
    this.encodeRange(classified, 0, classified.length, pretokenizer, out);
  }

  /** As {@link encode}, for a text that is one word. */
  encodeWord(word: string, out: TokenSink): void {
    const text = this.classify(word);
    if (word.length > 0) this.#word(text, 0, word.length, out);
  }

  /** The units and classes of a text; valid until the next call. */
  classify(text: string): ClassifiedText {
    const classified = new ClassifiedText(text, this.#text);
    this.#text = classified.units.length <= KEPT_UNITS ? classified : undefined;
    return classified;
  }

  /** As {@link encode}, for units [begin, end) of a text: they are a text of their own. */
  encodeRange(
    text: ClassifiedText,
    begin: number,
    end: number,
    pretokenizer: Pretokenizer,
    out: TokenSink,
  ): void {
    const ends = this.#ends;
    ends.clear();
    pretokenizer.split(text, begin, end, ends);
    let from = begin;
    for (let i = 0; i < ends.length; i++) {
      const to = ends.values[i] as number;
      this.#word(text, from, to, out);
      from = to;
    }
    if (this.#bytes.length > KEPT_UNITS) {
      this.#bytes = new Uint8Array(3 * CACHED_UNITS);
      this.#merged = new Int32Array(3 * CACHED_UNITS);
    }
  }

  #word(text: ClassifiedText, begin: number, end: number, out: TokenSink): void {
    if (out.withOffsets) {
      const count = this.#merge(text.units, begin, end);
      pushWithOffsets(text.units, begin, end, this.#merged.subarray(0, count), this.vocabulary, out);
    } else if (end - begin > CACHED_UNITS) {
      this.#longWord(text.units, begin, end, out);
    } else {
      this.#shortWord(text.units, begin, end, out);
    }
  }

  #shortWord(units: Uint16Array, begin: number, end: number, out: TokenSink): void {
    this.#cache ??= new ByteWordCache();
    const cache = this.#cache;
    const at = cache.find(units, begin, end, WORD);
    if (at > 0) {
      const first = cache.ids(at);
      out.append(cache.arena, first, first + cache.count(at));
      return;
    }
    const count = this.#merge(units, begin, end);
    out.append(this.#merged, 0, count);
    cache.add(units, begin, end, WORD, this.#merged, count);
  }

  /**
   * Long words are encoded window by window, so that windows can be cached. That gives the same ids, by the lemma of
   * {@link Merger}: every adjacent pair comes from one window. For each window begins with the last token that was taken
   * from the window before, and must find that token again. If it does not, larger windows are tried, and at last the
   * word as a whole.
   */
  #longWord(units: Uint16Array, begin: number, end: number, out: TokenSink): void {
    const whole = this.#findWhole(units, begin, end);
    if (whole >= 0) {
      out.push(whole, begin, end);
      return;
    }
    const before = out.length;
    if (this.#byWindows(units, begin, end, out)) return;
    out.length = before;
    const count = this.#mergeUnits(units, begin, end);
    out.append(this.#merged, 0, count);
  }

  #byWindows(units: Uint16Array, begin: number, end: number, out: TokenSink): boolean {
    const found = this.#found;
    let from = begin;
    let size = WINDOW;
    /** Tokens at the beginning of the window that have been taken already. */
    let known = 0;
    /** The window before: to go back to, if it was a small one. */
    const before = { from, size: LARGE_WINDOW, known, length: out.length };
    for (;;) {
      const to = windowEnd(units, from, end, size);
      this.#findWindow(units, from, to);
      const isSame = known === 0 || found.ids[found.at] === out.last;
      if (isSame && to === end) {
        out.append(found.ids, found.at + known, found.at + found.count);
        return true;
      }
      const kept = isSame ? this.#keep(units, from, to) : 0;
      if (kept > known) {
        before.from = from;
        before.size = size;
        before.known = known;
        before.length = out.length;
        out.append(found.ids, found.at + known, found.at + kept);
        from = found.next;
        size = WINDOW;
        known = 1;
      } else if (size === WINDOW) {
        size = LARGE_WINDOW;
      } else if (!isSame && before.size === WINDOW) {
        out.length = before.length;
        from = before.from;
        known = before.known;
        before.size = LARGE_WINDOW;
      } else {
        return false;
      }
    }
  }

  /** The ids of a window, to `found`. */
  #findWindow(units: Uint16Array, from: number, to: number): void {
    const found = this.#found;
    this.#cache ??= new ByteWordCache();
    const at = to - from <= CACHED_UNITS ? this.#cache.find(units, from, to, PART) : 0;
    if (at > 0) {
      found.ids = this.#cache.arena;
      found.at = this.#cache.ids(at);
      found.count = this.#cache.count(at);
      return;
    }
    found.count = this.#mergeUnits(units, from, to);
    found.ids = this.#merged;
    found.at = 0;
    if (to - from <= CACHED_UNITS) this.#cache.add(units, from, to, PART, this.#merged, found.count);
  }

  /**
   * How many tokens of a window to keep: those that end well before its end, as what is near it may depend on what
   * comes after. The last of them, at `found.next`, begins a character, and the next window.
   */
  #keep(units: Uint16Array, from: number, to: number): number {
    const { vocabulary } = this;
    const found = this.#found;
    const margin = (to - from) >> 2;
    let kept = 0;
    let unit = from;
    let unitByte = 0;
    let byte = 0;
    for (let i = 0; i < found.count; i++) {
      const begin = unitByte === byte ? unit : NONE;
      byte += vocabulary.length(found.ids[found.at + i] as number);
      while (unitByte < byte) {
        const n = utf8Length(units[unit] as number);
        unitByte += n;
        unit += n === 4 ? 2 : 1;
      }
      if (unit > to - margin) break;
      if (begin === NONE || begin - from < margin) continue;
      kept = i + 1;
      found.next = begin;
    }
    return kept;
  }

  /** Writes the ids of the word of units [begin, end) to `merged` and gives their number. */
  #merge(units: Uint16Array, begin: number, end: number): number {
    const whole = this.#findWhole(units, begin, end);
    if (whole < 0) return this.#mergeUnits(units, begin, end);
    this.#merged[0] = whole;
    return 1;
  }

  /** The token that a word is as a whole, if the vocabulary prefers whole words; -1 if there is none. */
  #findWhole(units: Uint16Array, begin: number, end: number): number {
    if (!this.#wholeWords || end - begin > this.vocabulary.longest) return NONE;
    const n = this.#toBytes(units, begin, end);
    return this.vocabulary.find(this.#bytes, 0, n);
  }

  #mergeUnits(units: Uint16Array, begin: number, end: number): number {
    const n = this.#toBytes(units, begin, end);
    return this.#merger.merge(this.#bytes, 0, n, this.#merged, 0);
  }

  /** Writes the UTF-8 of units [begin, end) to `bytes` and gives their number. */
  #toBytes(units: Uint16Array, begin: number, end: number): number {
    const room = 3 * (end - begin);
    if (this.#bytes.length < room) {
      this.#bytes = new Uint8Array(room);
      this.#merged = new Int32Array(room);
    }
    return writeUtf8(units, begin, end, this.#bytes);
  }
}

/** The UTF-8 of units [begin, end); gives the number of bytes. */
function writeUtf8(units: Uint16Array, begin: number, end: number, bytes: Uint8Array): number {
  let n = 0;
  for (let i = begin; i < end; i++) {
    const unit = units[i] as number;
    if (unit < 0x80) {
      bytes[n++] = unit;
    } else if (unit < 0x800) {
      bytes[n++] = 0xc0 | (unit >> 6);
      bytes[n++] = 0x80 | (unit & 0x3f);
    } else if ((unit & 0xfc00) !== 0xd800) {
      bytes[n++] = 0xe0 | (unit >> 12);
      bytes[n++] = 0x80 | ((unit >> 6) & 0x3f);
      bytes[n++] = 0x80 | (unit & 0x3f);
    } else {
      const character = characterAt(units, i++);
      bytes[n++] = 0xf0 | (character >> 18);
      bytes[n++] = 0x80 | ((character >> 12) & 0x3f);
      bytes[n++] = 0x80 | ((character >> 6) & 0x3f);
      bytes[n++] = 0x80 | (character & 0x3f);
    }
  }
  return n;
}

/** Bytes of the UTF-8 of the character that begins at a unit. */
function utf8Length(unit: number): number {
  if (unit < 0x80) return 1;
  if (unit < 0x800) return 2;
  return (unit & 0xfc00) === 0xd800 ? 4 : 3;
}

/** Appends `ids`, which are the bytes of units [begin, end), and what each stands for: whole characters. */
function pushWithOffsets(
  units: Uint16Array,
  begin: number,
  end: number,
  ids: Int32Array,
  vocabulary: ByteVocabulary,
  out: TokenSink,
): void {
  let unit = begin;
  let unitByte = 0;
  let byte = 0;
  for (const id of ids) {
    const last = byte + vocabulary.length(id);
    while (unitByte + utf8Length(units[unit] as number) <= byte) {
      const n = utf8Length(units[unit] as number);
      unitByte += n;
      unit += n === 4 ? 2 : 1;
    }
    let after = unit;
    for (let at = unitByte; at < last && after < end; ) {
      const n = utf8Length(units[after] as number);
      at += n;
      after += n === 4 ? 2 : 1;
    }
    out.push(id, unit, after);
    byte = last;
  }
}

/** Where a window of about `size` units ends: not between the halves of a pair. */
function windowEnd(units: Uint16Array, from: number, end: number, size: number): number {
  if (from + size >= end) return end;
  return ((units[from + size] as number) & 0xfc00) === 0xdc00 ? from + size - 1 : from + size;
}
