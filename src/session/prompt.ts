// What a prompt is as ids: text is encoded, ids are checked and taken as they are.
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";
import { describeValue } from "../util/describe.ts";
import { ContextError, UnsupportedError, UsageError } from "../util/errors.ts";
import type { Message } from "./messages.ts";
import type { Prompt } from "./options.ts";

/** How a prompt becomes ids. */
export interface PromptEncoding {
  /** What cannot be done with a wrong prompt: "generate". */
  readonly action: string;
  readonly tokenizer: Tokenizer;
  /** Ids that the model knows; more than the tokenizer's if the model pads its vocabulary. */
  readonly vocabSize: number;
  /** Whether special tokens are parsed in a text. */
  readonly special: boolean | undefined;
  /** Whether nothing stands before the prompt, so that a text gets BOS if the tokenizer adds one. */
  readonly begins: boolean;
}

/** What makes ids of messages: a model's chat template. */
export interface MessageEncoder {
  /** @throws UnsupportedError without a template; UsageError for messages that it refuses */
  render(messages: readonly Message[]): { readonly ids: number[] };
}

/** Whether a prompt is the messages of a chat. No prompt of ids is: it has numbers, or nothing. */
export function isMessages(prompt: Prompt): prompt is readonly Message[] {
  const [first] = Array.isArray(prompt) ? prompt : [];
  return typeof first === "object" && first !== null && !Array.isArray(first);
}

/**
 * The ids of a prompt: a new array.
 * @throws UsageError for anything else than a text or ids of the vocabulary; UnsupportedError for chat messages;
 *   TokenizerError for a text that cannot be encoded
 */
export function encodePrompt(prompt: Prompt, encoding: PromptEncoding): number[] {
  const { action, tokenizer, special = false, begins } = encoding;
  if (typeof prompt !== "string") return checkedIds(action, prompt, encoding.vocabSize);
  if (begins) return (special && ownBos(tokenizer, prompt)) || tokenizer.encode(prompt, { special });
  return prompt === "" ? [] : tokenizer.encode(prompt, { bos: false, special });
}

/**
 * The ids of a prompt that begins a text: something must be there to go on from, also if texts do not begin with BOS.
 * @throws what {@link encodePrompt} throws; UsageError if there are none, ContextError if there are too many
 */
export function encodeBeginning(
  prompt: Prompt,
  encoding: Omit<PromptEncoding, "begins">,
  contextLength: number,
): number[] {
  const { action, tokenizer } = encoding;
  const ids = encodePrompt(prompt, { ...encoding, begins: true });
  if (prompt === "" && ids.length === 0 && tokenizer.bosId !== undefined) ids.push(tokenizer.bosId);
  if (ids.length === 0) {
    const reason =
      typeof prompt === "string" ? "because the vocabulary has no token to begin with" : "got no ids";
    throw new UsageError(`Cannot ${action}: Expected a prompt, ${reason}`);
  }
  checkRoom(action, 0, ids.length, contextLength);
  return ids;
}

/** @throws ContextError if `n` more tokens do not fit the context, of which `taken` positions are taken */
export function checkRoom(action: string, taken: number, n: number, contextLength: number): void {
  if (taken + n <= contextLength) return;
  if (taken >= contextLength) {
    throw new ContextError(
      `Cannot ${action}: Expected room for a prompt, all ${contextLength} positions of the context are taken; ` +
        "roll the session back (or a fork of it), begin a new session, or load the model with a larger contextLength",
    );
  }
  const left = taken === 0 ? "the context length" : `${taken} of ${contextLength} positions are taken`;
  throw new ContextError(
    `Cannot ${action}: Expected a prompt of at most ${contextLength - taken} tokens (${left}), got ${n}`,
  );
}

/**
 * Ids of the vocabulary: a new array.
 * @throws UsageError for what is no list of ids, and for an id outside the vocabulary, with its index;
 *   UnsupportedError for chat messages
 */
function checkedIds(action: string, given: unknown, vocabSize: number): number[] {
  if (!isIdList(given)) {
    const expected =
      "a prompt that is a string, an array of ids, an Int32Array, a Uint32Array or a Uint16Array";
    throw new UsageError(`Cannot ${action}: Expected ${expected}, got ${describeList(given)}`);
  }
  const ids: number[] = [];
  for (let i = 0; i < given.length; i++) {
    const id: unknown = given[i];
    if (typeof id === "object" && id !== null && !Array.isArray(id)) {
      throw new UnsupportedError(
        `Cannot ${action}: Chat messages are not supported here; supported: a text, or ids such as those of llama.template.render(messages)`,
      );
    }
    if (!(typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabSize)) {
      throw new UsageError(
        `Cannot ${action}: Expected ids in [0, ${vocabSize}), got ${describeValue(id)} at index ${i}`,
      );
    }
    ids.push(id);
  }
  return ids;
}

/** Whether decoding ids gives any text, so that what follows keeps the space it begins with. */
export function haveText(tokenizer: Tokenizer, ids: readonly number[]): boolean {
  // Ids beyond the tokenizer's are padding of the model.
  return ids.some((id) => id < tokenizer.vocabSize && tokenizer.bytes(id).length > 0);
}

// Ids of a text that brings its own BOS: a second one is not put before it.
function ownBos(tokenizer: Tokenizer, text: string): number[] | undefined {
  const { bosId } = tokenizer;
  if (bosId === undefined || !text.startsWith(tokenizer.piece(bosId))) return undefined;
  const ids = tokenizer.encode(text, { bos: false, special: true });
  return ids[0] === bosId ? ids : undefined;
}

// Bytes are no ids: more likely they are a text in UTF-8.
const idArrays = /^(Int32|Uint32|Uint16)Array$/;

function isIdList(given: unknown): given is ArrayLike<unknown> {
  return Array.isArray(given) || (ArrayBuffer.isView(given) && idArrays.test(tagOf(given)));
}

function describeList(given: unknown): string {
  return ArrayBuffer.isView(given) ? `a ${tagOf(given)}` : describeValue(given);
}

// The name of a typed array's type, in whichever realm it was made.
function tagOf(view: ArrayBufferView): string {
  return String((view as { [Symbol.toStringTag]?: string })[Symbol.toStringTag]);
}
