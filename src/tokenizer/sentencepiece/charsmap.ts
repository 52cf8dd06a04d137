// Normalization rules compiled by SentencePiece (precompiled_charsmap): checks and applies them.
import { FormatError } from "../../util/errors.ts";

/** Most bytes of a charsmap, sixteen times those of nmt_nfkc_cf. */
export const MAX_CHARSMAP_BYTES = 1 << 22;

/** Most UTF-8 bytes that a rule replaces; rules of nmt_nfkc have a dozen. A text costs as much a character. */
export const MAX_RULE_BYTES = 128;

/** Parts of a unit of the trie. */
const HAS_LEAF = 1 << 8;
const VALUE = 0x7fffffff;
const LABEL = 0x800000ff;

/** Entries of an offset table that are no beginning of a character. */
const INSIDE = -1;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A text and where it comes from. */
export interface NormalizedString {
  readonly text: string;
  /**
   * UTF-16 offset at which the source of each unit begins, and the length of the source: one more than units.
   */
  readonly origins: Int32Array;
}

/**
 * Replacement rules as SentencePiece compiles them (precompiled_charsmap): the size of a double-array trie
 * (u32), the trie, whose keys are UTF-8 and whose values are offsets, and the replacements, each up to a
 * NUL. At each position of a text the longest rule counts. Rules that end inside a character never apply.
 *
 * Source: google/sentencepiece, src/normalizer.cc; the units of the trie: s-yata/darts-clone, darts.h.
 */
export class Charsmap {
  /** No rule replaces more UTF-16 units. */
  readonly maxRuleUnits: number;
  /** UTF-16 units of all replacements, each ended by a 0. */
  readonly replacements: Uint16Array;
  /** UTF-16 units that the rule found last by {@link match} replaces. */
  matched = 0;
  readonly #trie: Uint32Array;
  /** Where replacements begin in {@link replacements}, by byte offset in the file. */
  readonly #unitOffsets: Int32Array;

  /**
   * @param name what error messages call the file
   * @throws FormatError if the charsmap is cut or too large, its trie leaves the array, goes in circles or
   *   has a rule of more than MAX_RULE_BYTES, or a replacement is outside of it or not UTF-8
   */
  constructor(bytes: Uint8Array, name: string) {
    const invalid = (problem: string) => new FormatError(`Cannot read ${name}: ${problem} (in its charsmap)`);
    if (bytes.length < 8 || bytes.length > MAX_CHARSMAP_BYTES) {
      throw invalid(`Expected 8 to ${MAX_CHARSMAP_BYTES} bytes, got ${bytes.length}`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const trieBytes = view.getUint32(0, true);
    if (trieBytes % 4 !== 0 || trieBytes === 0 || trieBytes > bytes.length - 4) {
      throw invalid(`Expected a trie of 4 to ${bytes.length - 4} bytes in fours, got ${trieBytes}`);
    }
    this.#trie = new Uint32Array(trieBytes / 4);
    for (let i = 0; i < this.#trie.length; i++) this.#trie[i] = view.getUint32(4 + 4 * i, true);
    const decoded = decodeReplacements(bytes.slice(4 + trieBytes), invalid);
    this.replacements = decoded.units;
    this.#unitOffsets = decoded.offsets;
    this.maxRuleUnits = longestRule(this.#trie, this.#unitOffsets, invalid);
  }

  /**
   * The longest rule that applies at unit `at`: where its replacement begins in {@link replacements}, or -1.
   * `matched` tells how much it replaces.
   * @param text well-formed
   */
  match(text: string, at: number): number {
    const trie = this.#trie;
    let base = baseAfter(trie, 0);
    let found = -1;
    for (let i = at; i < text.length; ) {
      const character = text.codePointAt(i) as number;
      const unit = follow(trie, base, character);
      if (unit < 0) break;
      i += character > 0xffff ? 2 : 1;
      base = baseAfter(trie, unit);
      if (((trie[unit] as number) & HAS_LEAF) !== 0) {
        found = (trie[base] as number) & VALUE;
        this.matched = i - at;
      }
    }
    return found < 0 ? -1 : (this.#unitOffsets[found] as number);
  }

  /** A whole text with the rules applied, from its beginning on. Lone surrogates count as U+FFFD. */
  normalize(text: string): NormalizedString {
    const source = text.toWellFormed();
    const origins: number[] = [];
    let normalized = "";
    for (let i = 0; i < source.length; ) {
      const from = this.match(source, i);
      const end = i + (from < 0 ? unitsAt(source, i) : this.matched);
      normalized += from < 0 ? source.slice(i, end) : this.replacement(from);
      while (origins.length < normalized.length) origins.push(i);
      i = end;
    }
    origins.push(source.length);
    return { text: normalized, origins: Int32Array.from(origins) };
  }

  /** The replacement that begins at `from`, as {@link match} gives it. */
  replacement(from: number): string {
    const end = this.replacements.indexOf(0, from);
    let text = "";
    for (let i = from; i < end; i++) text += String.fromCharCode(this.replacements[i] as number);
    return text;
  }
}

/** UTF-16 units of the character at a position of a well-formed text. */
export function unitsAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit < 0xdc00 ? 2 : 1;
}

/** The unit that the UTF-8 of a character leads to from a base, or -1. */
function follow(trie: Uint32Array, base: number, character: number): number {
  if (character < 0x80) return child(trie, base, character);
  let unit: number;
  if (character < 0x800) unit = child(trie, base, 0xc0 | (character >> 6));
  else {
    if (character < 0x10000) unit = child(trie, base, 0xe0 | (character >> 12));
    else {
      unit = child(trie, base, 0xf0 | (character >> 18));
      if (unit >= 0) unit = child(trie, baseAfter(trie, unit), 0x80 | ((character >> 12) & 0x3f));
    }
    if (unit >= 0) unit = child(trie, baseAfter(trie, unit), 0x80 | ((character >> 6) & 0x3f));
  }
  return unit < 0 ? -1 : child(trie, baseAfter(trie, unit), 0x80 | (character & 0x3f));
}

/** Where the children of a unit are: at this XOR their label. */
function baseAfter(trie: Uint32Array, unit: number): number {
  const value = trie[unit] as number;
  return unit ^ ((value >>> 10) << ((value & 0x200) >>> 6));
}

function child(trie: Uint32Array, base: number, byte: number): number {
  const unit = base ^ byte;
  return unit < trie.length && ((trie[unit] as number) & LABEL) === byte ? unit : -1;
}

type Invalid = (problem: string) => FormatError;

/** Each replacement checked and in UTF-16, by the byte offset of its characters. */
function decodeReplacements(
  bytes: Uint8Array<ArrayBuffer>,
  invalid: Invalid,
): { units: Uint16Array; offsets: Int32Array } {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw invalid("Expected replacements in UTF-8");
  }
  const units = new Uint16Array(text.length + 1);
  const offsets = new Int32Array(bytes.length).fill(INSIDE);
  for (let at = 0, i = 0; i < text.length; ) {
    const character = text.codePointAt(i) as number;
    offsets[at] = i;
    for (const end = i + (character > 0xffff ? 2 : 1); i < end; i++) units[i] = text.charCodeAt(i);
    at += character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  }
  return { units, offsets };
}

/** For each base the first unit that is a child of it, for each unit the next one; -1 at the end. */
function childrenByBase(trie: Uint32Array): { first: Int32Array; next: Int32Array } {
  const first = new Int32Array((trie.length + 255) & ~255).fill(-1);
  const next = new Int32Array(trie.length);
  for (let unit = 0; unit < trie.length; unit++) {
    const label = (trie[unit] as number) & LABEL;
    if (label < 0) continue;
    next[unit] = first[unit ^ label] as number;
    first[unit ^ label] = unit;
  }
  return { first, next };
}

/**
 * Checks every unit that a text can lead to, and gives the bytes of the longest rule. Nodes with equal ends
 * are stored once, so this is no tree: each base is visited once, and one that leads to itself is refused.
 */
function longestRule(trie: Uint32Array, offsets: Int32Array, invalid: Invalid): number {
  const OPEN = -1;
  /** One more than the bytes of the longest rest of a rule, by base; 0 if not visited yet. */
  const longest = new Int32Array((trie.length + 255) & ~255);
  const visited: number[] = [];
  const { first, next } = childrenByBase(trie);
  const enter = (unit: number) => {
    const base = baseAfter(trie, unit);
    if (base >= longest.length) throw invalid(`Expected unit ${unit} of the trie to lead inside of it`);
    const hasLeaf = unit > 0 && ((trie[unit] as number) & HAS_LEAF) !== 0;
    const value = hasLeaf && base < trie.length ? (trie[base] as number) & VALUE : 0;
    if (hasLeaf && (base >= trie.length || !((offsets[value] ?? INSIDE) >= 0))) {
      throw invalid(`Expected unit ${unit} of the trie to have a replacement, got offset ${value}`);
    }
    if (longest[base] === OPEN) throw invalid(`Expected no circle in the trie, got one at unit ${unit}`);
    if (longest[base] === 0) visited.push(base);
    return base;
  };
  enter(0);
  // Each base is on the stack twice: to be opened, and to be closed after all that it leads to.
  while (visited.length > 0) {
    const base = visited.at(-1) as number;
    const opened = longest[base] === OPEN;
    if (longest[base] !== 0 && !opened) {
      visited.pop();
      continue;
    }
    longest[base] = OPEN;
    let rest = 0;
    for (let unit = first[base] as number; unit >= 0; unit = next[unit] as number) {
      if (!opened) enter(unit);
      else rest = Math.max(rest, longest[baseAfter(trie, unit)] as number);
    }
    if (!opened) continue;
    if (rest > MAX_RULE_BYTES)
      throw invalid(`Expected rules of at most ${MAX_RULE_BYTES} bytes, got longer ones`);
    longest[base] = rest + 1;
    visited.pop();
  }
  return (longest[baseAfter(trie, 0)] as number) - 1;
}
