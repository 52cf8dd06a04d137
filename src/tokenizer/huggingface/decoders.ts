// Decoders of a tokenizer.json: from the texts of tokens to one text.
import { bytesOfSpelling } from "../byte_level/byte_alphabet.ts";
import { type Components, type JsonValue, readComponent } from "./json.ts";
import { type Pattern, readPattern } from "./pattern.ts";
import { bytesOfRaw, rawByte, rawText, textOfRaw } from "./raw_text.ts";

/** Most decoders of a sequence: real ones have up to five. */
const MAX_SEQUENCE = 64;

/** Most characters that a Strip takes off. */
const MAX_STRIP = 1 << 10;

/** A step from tokens to text. */
export type Decoder =
  | { readonly kind: "byteLevel" | "byteFallback" | "fuse" | "spaces" }
  | { readonly kind: "replace"; readonly pattern: Pattern; readonly content: string }
  | { readonly kind: "strip"; readonly content: string; readonly start: number; readonly stop: number }
  | { readonly kind: "metaspace"; readonly replacement: string; readonly dropsFirst: boolean };

type Strip = Extract<Decoder, { kind: "strip" }>;

const known: Components<Decoder[]> = {
  Sequence: (json) => json.get("decoders").items(MAX_SEQUENCE).flatMap(readComponents),
  ByteLevel: () => [{ kind: "byteLevel" }],
  ByteFallback: () => [{ kind: "byteFallback" }],
  Fuse: () => [{ kind: "fuse" }],
  Strip: (json) => [
    {
      kind: "strip",
      content: json.get("content").character(),
      start: json.get("start").integer(0, MAX_STRIP),
      stop: json.get("stop").integer(0, MAX_STRIP),
    },
  ],
  Replace: (json) => [
    { kind: "replace", pattern: readPattern(json.get("pattern")), content: json.get("content").string() },
  ],
  Metaspace: (json) => {
    const addPrefixSpace = json.get("add_prefix_space").boolean(true);
    const scheme = json
      .get("prepend_scheme")
      .oneOf(["always", "first", "never"] as const, addPrefixSpace ? "always" : "never");
    const replacement = json.get("replacement").character();
    return [{ kind: "metaspace", replacement, dropsFirst: scheme !== "never" }];
  },
};

/**
 * Reads a decoder, a sequence as its parts. Without one, tokens are joined by spaces.
 * @throws FormatError, UnsupportedError
 */
export function readDecoders(json: JsonValue): Decoder[] {
  const decoders: Decoder[] = json.isNull ? [{ kind: "spaces" }] : readComponents(json);
  if (decoders.length > MAX_SEQUENCE)
    throw json.expected(`at most ${MAX_SEQUENCE} decoders`, String(decoders.length));
  return decoders;
}

function readComponents(json: JsonValue): Decoder[] {
  return readComponent(json, "Decoder", known);
}

/** How decoders are carried out. */
interface Plan {
  /** What changes each token for itself. */
  readonly perToken: readonly Decoder[];
  /** What comes then. */
  readonly rest: readonly Decoder[];
  /** Whether that gets all tokens as one. */
  readonly joined: boolean;
}

function planOf(decoders: readonly Decoder[]): Plan {
  const joint = decoders.findIndex(({ kind }, i) => {
    const next = decoders[i + 1]?.kind;
    // Bytes that are put together as text at once need not be looked at before.
    const waits = kind === "byteFallback" && next !== undefined && next !== "fuse";
    return kind === "fuse" || kind === "byteLevel" || waits;
  });
  const kind = decoders[joint]?.kind;
  if (kind === undefined) return { perToken: decoders, rest: [], joined: false };
  if (kind === "byteFallback")
    return { perToken: decoders.slice(0, joint), rest: decoders.slice(joint), joined: false };
  return {
    perToken: decoders.slice(0, kind === "byteLevel" ? joint + 1 : joint),
    rest: decoders.slice(joint + 1).filter((decoder) => decoder.kind !== "fuse"),
    joined: true,
  };
}

/**
 * Decoders in the order in which they apply. Up to the first that joins tokens they change each token for itself;
 * these results are remembered by id. What comes after works on the text as it grows if that can be, which is
 * one Strip; anything else waits for the last token.
 */
export class DecoderChain {
  readonly #plan: Plan;
  readonly #spellings: readonly (string | undefined)[];
  readonly #memory: (string | undefined)[] = [];
  readonly #firstMatters: boolean;

  /** @param spellings the text of each token, undefined for ids that are none */
  constructor(decoders: readonly Decoder[], spellings: readonly (string | undefined)[]) {
    this.#plan = planOf(decoders);
    this.#spellings = spellings;
    this.#firstMatters = decoders.some(({ kind }) => kind === "metaspace" || kind === "spaces");
  }

  /** A new text. @param afterText whether another text comes before it */
  start(afterText: boolean): DecoderRun {
    const { rest, joined } = this.#plan;
    const tokens = new TokenTexts(this, afterText);
    const [strip] = rest;
    if (strip === undefined) return tokens;
    if (joined && rest.length === 1 && strip.kind === "strip") return new StripRun(tokens, strip, afterText);
    return new WaitingRun(tokens, rest, joined, afterText);
  }

  /** What the decoders of single tokens make of an id, as raw text. */
  token(id: number, isFirst: boolean): string {
    if (isFirst && this.#firstMatters) return this.#decode(id, true);
    const known = this.#memory[id];
    if (known !== undefined) return known;
    const text = this.#decode(id, false);
    this.#memory[id] = text;
    return text;
  }

  #decode(id: number, isFirst: boolean): string {
    const text = this.#spellings[id] as string;
    return this.#plan.perToken.reduce((result, decoder) => decodeToken(decoder, result, isFirst), text);
  }
}

/** The decoding of one text: ids in, raw text out. */
export interface DecoderRun {
  push(id: number): string;
  flush(): string;
}

class TokenTexts implements DecoderRun {
  readonly #chain: DecoderChain;
  #isFirst: boolean;

  constructor(chain: DecoderChain, afterText: boolean) {
    this.#chain = chain;
    this.#isFirst = !afterText;
  }

  push(id: number): string {
    const text = this.#chain.token(id, this.#isFirst);
    this.#isFirst = false;
    return text;
  }

  flush(): string {
    return "";
  }
}

/** Takes characters off at the beginning and the end of a text that grows. */
class StripRun implements DecoderRun {
  readonly #tokens: DecoderRun;
  readonly #strip: Strip;
  /** How many may still be taken off at the beginning. */
  #left: number;
  /** How many are held back, as they may be the last. */
  #held = 0;

  constructor(tokens: DecoderRun, strip: Strip, afterText: boolean) {
    this.#tokens = tokens;
    this.#strip = strip;
    this.#left = afterText ? 0 : strip.start;
  }

  push(id: number): string {
    const { content, stop } = this.#strip;
    let text = this.#tokens.push(id);
    while (this.#left > 0 && text !== "") {
      if (text.startsWith(content)) {
        text = text.slice(content.length);
        this.#left--;
      } else this.#left = 0;
    }
    if (stop === 0) return text;
    const all = content.repeat(this.#held) + text;
    let end = all.length;
    this.#held = 0;
    while (this.#held < stop && end >= content.length && all.startsWith(content, end - content.length)) {
      end -= content.length;
      this.#held++;
    }
    return all.slice(0, end);
  }

  flush(): string {
    return "";
  }
}

/** Decodes all at once when the last token is there. */
class WaitingRun implements DecoderRun {
  readonly #tokens: DecoderRun;
  readonly #decoders: readonly Decoder[];
  readonly #joined: boolean;
  readonly #afterText: boolean;
  #texts: string[] = [];

  constructor(tokens: DecoderRun, decoders: readonly Decoder[], joined: boolean, afterText: boolean) {
    this.#tokens = tokens;
    this.#decoders = decoders;
    this.#joined = joined;
    this.#afterText = afterText;
  }

  push(id: number): string {
    this.#texts.push(this.#tokens.push(id));
    return "";
  }

  flush(): string {
    const texts = this.#joined ? [textOfRaw(this.#texts.join(""))] : this.#texts;
    this.#texts = [];
    return this.#decoders
      .reduce((result, decoder) => decodeAll(decoder, result, this.#afterText), texts)
      .join("");
  }
}

/** What a decoder makes of a list of tokens. */
function decodeAll(decoder: Decoder, texts: string[], afterText: boolean): string[] {
  switch (decoder.kind) {
    case "fuse":
      return [texts.join("")];
    case "byteLevel":
      return [textOfRaw(texts.map((text) => decodeToken(decoder, text, false)).join(""))];
    case "byteFallback":
      return joinBytes(texts);
    default:
      return texts.map((text, i) => decodeToken(decoder, text, i === 0 && !afterText));
  }
}

/** Each run of byte tokens as one text. */
function joinBytes(texts: readonly string[]): string[] {
  const result: string[] = [];
  let open = "";
  for (const text of texts) {
    const byte = byteOf(text);
    if (byte >= 0) {
      open += rawByte(byte);
      continue;
    }
    if (open !== "") result.push(textOfRaw(open));
    open = "";
    result.push(text);
  }
  if (open !== "") result.push(textOfRaw(open));
  return result;
}

function decodeToken(decoder: Decoder, text: string, isFirst: boolean): string {
  switch (decoder.kind) {
    case "byteLevel":
      return rawText(bytesOfSpelling(text)?.slice() ?? bytesOfRaw(text));
    case "byteFallback": {
      const byte = byteOf(text);
      return byte < 0 ? text : rawByte(byte);
    }
    case "spaces":
      return isFirst ? text : ` ${text}`;
    case "metaspace":
      return text.replaceAll(decoder.replacement, isFirst && decoder.dropsFirst ? "" : " ");
    case "replace":
      return replaced(text, decoder.pattern, decoder.content);
    case "strip":
      return stripped(text, decoder);
    case "fuse":
      return text;
  }
}

function replaced(text: string, pattern: Pattern, content: string): string {
  let result = "";
  let kept = 0;
  for (const [begin, end] of pattern.matches(text)) {
    result += text.slice(kept, begin) + content;
    kept = end;
  }
  return result + text.slice(kept);
}

function stripped(text: string, { content, start, stop }: Strip): string {
  const n = content.length;
  let begin = 0;
  let end = text.length;
  for (let i = 0; i < start && text.startsWith(content, begin); i++) begin += n;
  for (let i = 0; i < stop && end - n >= begin && text.startsWith(content, end - n); i++) end -= n;
  return text.slice(begin, end);
}

/** The byte that a token such as "<0x0A>" stands for, or -1. */
function byteOf(text: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(text) ? Number.parseInt(text.slice(3, 5), 16) : -1;
}
