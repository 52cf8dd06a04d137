// Reads the model of a tokenizer.json: its vocabulary and its merges.
import { MAX_PIECES } from "../core/limits.ts";
import type { JsonValue } from "./json.ts";
import { TokenTable } from "./token_table.ts";

/** Most merges: a piece has about two, in the largest vocabularies. */
const MAX_MERGES = 1 << 22;

interface ModelBase {
  /** Text by id; undefined if there is no token. */
  readonly tokens: (string | undefined)[];
  readonly ids: TokenTable;
  readonly unkId: number | undefined;
  readonly byteFallback: boolean;
  /** Whether a run of unknown characters is one unknown token. */
  readonly fuseUnk: boolean;
}

/** BPE: the pairs that merge, three ids a merge, the first pair first. */
export interface BpeModel extends ModelBase {
  readonly type: "BPE";
  readonly merges: Int32Array;
  /** Whether a word that is a token is not merged. */
  readonly ignoreMerges: boolean;
}

/** The unigram language model. */
export interface UnigramModel extends ModelBase {
  readonly type: "Unigram";
  readonly scores: Float64Array;
}

export type Model = BpeModel | UnigramModel;

/**
 * Reads the model.
 * @throws FormatError if it contradicts itself: an id that is no integer below the limit or stands twice, a
 *   merge that is not two tokens whose texts together are one
 * @throws UnsupportedError for another model, dropout, and prefixes or suffixes of words
 */
export function readModel(json: JsonValue): Model {
  const supported = ["BPE", "Unigram"];
  const type = json.get("type").isNull ? guessType(json) : json.get("type").string();
  if (type === "BPE") return readBpe(json);
  if (type === "Unigram") return readUnigram(json);
  throw json.unsupported(`Model ${JSON.stringify(type)}`, supported);
}

/** Older files do not say. */
function guessType(json: JsonValue): string {
  if (Array.isArray(json.get("vocab").value)) return "Unigram";
  return json.get("merges").isNull ? "without merges" : "BPE";
}

function readBpe(json: JsonValue): BpeModel {
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const affix = json.get(key);
    if (!affix.isNull && affix.string() !== "") throw affix.unsupported(`${key} ${affix.value}`, ["none"]);
  }
  const dropout = json.get("dropout");
  if (!dropout.isNull && dropout.value !== 0) throw dropout.unsupported("Dropout", ["none"]);
  const { tokens, ids } = readVocab(json.get("vocab"));
  const unk = json.get("unk_token");
  const unkId = unk.isNull ? undefined : ids.get(unk.string());
  return {
    type: "BPE",
    tokens,
    ids,
    merges: readMerges(json.get("merges"), { tokens, ids }),
    unkId,
    byteFallback: json.get("byte_fallback").boolean(false),
    fuseUnk: json.get("fuse_unk").boolean(false),
    ignoreMerges: json.get("ignore_merges").boolean(false),
  };
}

function readVocab(json: JsonValue): Pick<ModelBase, "tokens" | "ids"> {
  const object = json.object();
  const names = Object.keys(object);
  if (names.length > MAX_PIECES) throw json.expected(`at most ${MAX_PIECES} tokens`, String(names.length));
  const tokens: (string | undefined)[] = [];
  for (const name of names) {
    const id = object[name] as number;
    if (!(Number.isInteger(id) && id >= 0 && id < MAX_PIECES)) {
      throw json.get(name).expected(`an integer from 0 to ${MAX_PIECES - 1}`);
    }
    if (!name.isWellFormed()) throw json.expected("named by text", "a lone surrogate in a name");
    while (tokens.length <= id) tokens.push(undefined);
    if (tokens[id] !== undefined) throw json.get(name).expected("the only token of its id", `${id} twice`);
    tokens[id] = name;
  }
  return { tokens, ids: new TokenTable(tokens) };
}

/** Merges are pairs, or in older files texts with a space between; of equal ones the last counts. */
function readMerges(json: JsonValue, { tokens, ids }: Pick<ModelBase, "tokens" | "ids">): Int32Array {
  const items = json.array(MAX_MERGES);
  const merges = new Int32Array(3 * items.length);
  let n = 0;
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    let left: number;
    let right: number;
    if (typeof item === "string") {
      if (item.startsWith("#version")) continue;
      const space = item.indexOf(" ");
      if (space < 0) throw json.item(i).expected("two tokens with a space between");
      left = ids.find(item, 0, space);
      right = ids.find(item, space + 1, item.length);
    } else {
      const [first, second] = pairOf(json, i);
      left = ids.find(first, 0, first.length);
      right = ids.find(second, 0, second.length);
    }
    const result = left < 0 || right < 0 ? -1 : ids.findPair(left, right);
    if (result < 0) throw json.item(i).expected("two tokens whose texts together are a token");
    merges[n++] = left;
    merges[n++] = right;
    merges[n++] = result;
  }
  return lastOfEqual(merges.subarray(0, n), tokens.length);
}

function pairOf(json: JsonValue, i: number): [string, string] {
  const pair = json.item(i).value;
  const isPair = Array.isArray(pair) && pair.length === 2;
  if (!isPair || typeof pair[0] !== "string" || typeof pair[1] !== "string") {
    throw json.item(i).expected("two tokens");
  }
  return pair as [string, string];
}

/** Leaves out merges of a pair that comes again. */
function lastOfEqual(merges: Int32Array, size: number): Int32Array {
  const keys = Float64Array.from({ length: merges.length / 3 }, (_, i) => keyOf(merges, i, size));
  const sorted = keys.slice().sort();
  if (sorted.every((key, i) => i === 0 || key !== sorted[i - 1])) return merges;
  const last = new Map(Array.from(keys, (key, i) => [key, i]));
  const kept = Array.from(keys.keys()).filter((i) => last.get(keys[i] as number) === i);
  return Int32Array.from(kept.flatMap((i) => [...merges.subarray(3 * i, 3 * i + 3)]));
}

function keyOf(merges: Int32Array, i: number, size: number): number {
  return (merges[3 * i] as number) * size + (merges[3 * i + 1] as number);
}

function readUnigram(json: JsonValue): UnigramModel {
  const vocab = json.get("vocab");
  const items = vocab.array(MAX_PIECES);
  if (items.length === 0) throw vocab.expected("at least one token");
  const tokens: (string | undefined)[] = [];
  const scores = new Float64Array(items.length);
  for (const [i, item] of items.entries()) {
    const [token, score] = Array.isArray(item) && item.length === 2 ? item : [];
    if (typeof token !== "string" || !token.isWellFormed() || !Number.isFinite(score)) {
      throw vocab.item(i).expected("a text and a number");
    }
    tokens.push(token);
    scores[i] = score;
  }
  const unk = json.get("unk_id");
  return {
    type: "Unigram",
    tokens,
    ids: new TokenTable(tokens),
    scores,
    unkId: unk.isNull ? undefined : unk.integer(0, items.length - 1),
    byteFallback: json.get("byte_fallback").boolean(false),
    fuseUnk: true,
  };
}
