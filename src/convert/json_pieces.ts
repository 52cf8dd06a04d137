// SentencePiece vocabularies that a tokenizer.json describes: what converters made of Llama 2's tokenizer.model, and of unigram
// models.
import { type SentencePieceData, TokenType } from "../tokenizer/core/vocabulary_data.ts";
import type { HuggingFaceData } from "../tokenizer/huggingface/data.ts";
import { JsonValue } from "../tokenizer/huggingface/json.ts";
import type { BpeModel } from "../tokenizer/huggingface/model.ts";

/** The sign of spaces in pieces. */
const SPACE = "\u2581";
/** Most comparisons of characters for the pairs of all pieces: vocabularies of 256 thousand pieces need 2^25. */
const MAX_STEPS = 2 ** 29;

/**
 * The SentencePiece vocabulary that gives the same ids as a tokenizer.json, or what is unlike one in it, for an error. A
 * vocabulary that merges has its order of merges instead of scores: it is one if all pairs of pieces merge whose texts
 * together are a piece, in the order of what they make.
 * @param bytes the file that `data` was read from
 */
export function piecesOfJson(
  data: HuggingFaceData,
  bytes: Uint8Array,
  name: string,
): SentencePieceData | string {
  const { model, types: stored, spellings, bosId, eosIds, unkId, addBos, addEos, addedTokens } = data;
  const rules = rulesOf(JsonValue.parse(bytes, name));
  if (typeof rules === "string") return rules;
  const odd = addedTokens.find(
    (token) => !token.special && (token.lstrip || token.rstrip || token.singleWord),
  );
  if (odd)
    return `the added token ${JSON.stringify(odd.content)}, which takes spaces along or is a whole word`;
  const isByte = (text: string | undefined) => model.byteFallback && /^<0x[0-9A-F]{2}>$/.test(text ?? "");
  const types = Uint8Array.from(stored, (type, id) =>
    type === TokenType.normal && isByte(spellings[id]) ? TokenType.byte : type,
  );
  const scores = model.type === "BPE" ? mergeScores(model, types) : Float32Array.from(model.scores);
  if (typeof scores === "string") return scores;
  const pieces = spellings.map((text, id) => text ?? `[PAD${id}]`);
  spellings.forEach((text, id) => {
    if (text === undefined) types[id] = TokenType.unused;
  });
  return {
    kind: model.type === "BPE" ? "spm-bpe" : "spm-unigram",
    ...{ pieces, scores: Float32Array.from(pieces, (_, id) => scores[id] ?? 0), types },
    ...{ bosId, eosIds, unkId, addBos, addEos },
    ...rules,
  };
}

type Rules = Pick<SentencePieceData, "addDummyPrefix" | "removeExtraWhitespaces" | "charsmap">;

/** What happens to texts before they are cut into pieces, in SentencePiece's terms; or the step that it has not. */
function rulesOf(json: JsonValue): Rules | string {
  let addDummyPrefix = false;
  let removeExtraWhitespaces = false;
  let escapes = false;
  let charsmap: Uint8Array | undefined;
  for (const step of stepsOf(json.get("normalizer"), "normalizers")) {
    const text = JSON.stringify(step.value);
    if (!escapes && isStep(step, "Prepend", { prepend: SPACE })) addDummyPrefix = true;
    else if (isStep(step, "Replace", { pattern: { String: " " }, content: SPACE })) escapes = true;
    else if (isStep(step, "Precompiled") && charsmap === undefined && !addDummyPrefix && !escapes)
      charsmap = step.get("precompiled_charsmap").base64();
    else if (isStep(step, "Replace", { pattern: { Regex: " {2,}" }, content: " " }) && !escapes)
      removeExtraWhitespaces = true;
    // SentencePiece trims when it removes spaces.
    else if (!isStep(step, "Strip", { strip_left: true, strip_right: true }))
      return `the normalizer ${short(text)}`;
  }
  for (const step of stepsOf(json.get("pre_tokenizer"), "pretokenizers")) {
    const { prepend_scheme, add_prefix_space = true } = step.object();
    if (step.get("type").value !== "Metaspace" || step.get("replacement").value !== SPACE || escapes)
      return `the pre-tokenizer ${short(JSON.stringify(step.value))}`;
    escapes = true;
    addDummyPrefix = prepend_scheme === undefined ? add_prefix_space === true : prepend_scheme !== "never";
  }
  if (!escapes) return `no step that makes spaces ${SPACE}`;
  return { addDummyPrefix, removeExtraWhitespaces, ...(charsmap?.length ? { charsmap } : {}) };
}

/** The steps of a normalizer or pre-tokenizer, those of a sequence one by one. */
function stepsOf(json: JsonValue, key: string): JsonValue[] {
  if (json.isNull) return [];
  return json.get("type").value === "Sequence" ? json.get(key).items(MAX_STEPS_OF_TEXTS) : [json];
}

const MAX_STEPS_OF_TEXTS = 64;

function isStep(step: JsonValue, type: string, fields: Readonly<Record<string, unknown>> = {}): boolean {
  return (
    step.get("type").value === type &&
    Object.entries(fields).every(
      ([key, value]) => JSON.stringify(step.get(key).value) === JSON.stringify(value),
    )
  );
}

const short = (text: string) => (text.length > 120 ? `${text.slice(0, 120)}...` : text);

/**
 * Scores by which SentencePiece merges as the merges say: of the pieces that merging makes, in their order, then of all others.
 * What SentencePiece's own training writes comes out as it was.
 */
function mergeScores(model: BpeModel, types: Uint8Array): Float32Array | string {
  const { tokens, ids, merges } = model;
  if (!model.byteFallback) return "no byte_fallback";
  if (model.ignoreMerges) return "ignore_merges";
  const isPiece = (id: number) => id >= 0 && types[id] === TokenType.normal;
  const scores = new Float32Array(tokens.length);
  const pairs = new Int32Array(tokens.length);
  const order: number[] = [];
  for (let i = 0; i < merges.length; i += 3) {
    const [left, right, made] = merges.subarray(i, i + 3) as unknown as [number, number, number];
    if (!isPiece(left) || !isPiece(right) || !isPiece(made))
      return `a merge of ${tokens[left]} and ${tokens[right]}`;
    if (pairs[made] === 0) order.push(made);
    else if (order.at(-1) !== made) return `merges into ${tokens[made]} in several places`;
    pairs[made] = (pairs[made] as number) + 1;
  }
  let steps = 0;
  for (const [id, text] of tokens.entries()) {
    if (text === undefined || !isPiece(id)) continue;
    steps += text.length ** 2;
    if (steps > MAX_STEPS) return "pieces that are too long to be compared";
    // Characters that are no piece merge, too.
    const joins = (from: number, to: number) =>
      isPiece(ids.find(text, from, to)) ||
      to - from === ((text.codePointAt(from) as number) > 0xffff ? 2 : 1);
    let all = 0;
    for (let at = 1; at < text.length; at++) {
      if (/[\udc00-\udfff]/.test(text[at] as string)) continue;
      if (joins(0, at) && joins(at, text.length)) all++;
    }
    if (all !== pairs[id]) return `${pairs[id]} of ${all} pairs that make ${text}`;
  }
  const others = tokens.flatMap((_, id) => (isPiece(id) && pairs[id] === 0 ? [id] : []));
  for (const [i, id] of [...order, ...others].entries()) scores[id] = 0 - i;
  return scores;
}
