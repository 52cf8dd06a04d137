// Normalizes a corpus as the trained model will normalize text.
import { Charsmap } from "../../sentencepiece/charsmap.ts";
import { Normalizer } from "../../sentencepiece/normalizer.ts";
import type { Normalization, SentencePieceSpec } from "../options.ts";
import { compileCharsmap } from "./charsmap_writer.ts";
import { normalizationRules } from "./normalization_rules.ts";

/** UTF-16 units that are made text at once: arguments of a call, which engines limit. */
const UNITS_A_CALL = 1 << 13;

/** Compiled once: it takes a second. */
const charsmaps = new Map<Normalization, Uint8Array>();

function charsmapOf(normalization: Normalization): Uint8Array {
  let charsmap = charsmaps.get(normalization);
  if (charsmap === undefined) {
    charsmap = compileCharsmap(normalizationRules(normalization));
    charsmaps.set(normalization, charsmap);
  }
  return charsmap;
}

/** Normalizes text as the trained model will, by the charsmap that goes into its file. */
export class TrainingNormalizer {
  /** The compiled rules; empty if there are none. */
  readonly charsmap: Uint8Array;
  readonly #normalizer: Normalizer;

  constructor(spec: SentencePieceSpec) {
    this.charsmap = charsmapOf(spec.normalization);
    this.#normalizer = new Normalizer({
      charsmap: this.charsmap.length === 0 ? undefined : new Charsmap(this.charsmap, spec.normalization),
      addDummyPrefix: spec.addDummyPrefix,
      removeExtraWhitespaces: spec.removeExtraWhitespaces,
      escapeWhitespaces: true,
      whitespaceAsSuffix: false,
      userDefined: undefined,
      lengths: [],
    });
  }

  /** A text normalized; surrogates alone remain. Its spaces U+2581; empty if nothing is left. */
  normalize(text: string): string {
    const n = this.#normalizer.normalize(text, false);
    let normalized = "";
    for (let i = 0; i < n; i += UNITS_A_CALL) {
      const units = this.#normalizer.units.subarray(i, Math.min(n, i + UNITS_A_CALL));
      normalized += String.fromCharCode(...units);
    }
    return normalized;
  }
}
