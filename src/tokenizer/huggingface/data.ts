// Reads a tokenizer.json: checks it and builds its pipeline.
import { MAX_PIECES } from "../core/limits.ts";
import { TokenType } from "../core/vocabulary_data.ts";
import { type AddedToken, readAddedTokens } from "./added_tokens.ts";
import { type Decoder, readDecoders } from "./decoders.ts";
import { JsonValue } from "./json.ts";
import { type Model, readModel } from "./model.ts";
import { type Normalizer, readNormalizer } from "./normalizing_steps.ts";
import { readTemplate, type Template } from "./post_processor.ts";
import { type PreTokenizer, readPreTokenizers } from "./pre_tokenizers.ts";

/** A tokenizer.json, read and checked. */
export interface HuggingFaceData {
  readonly kind: "huggingface";
  /** Token type by id: special added tokens are control, other added tokens user-defined. */
  readonly types: Uint8Array;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly unkId: number | undefined;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** Text by id; undefined if there is no token. */
  readonly spellings: readonly (string | undefined)[];
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Normalizer | undefined;
  readonly preTokenizers: readonly PreTokenizer[];
  readonly model: Model;
  readonly template: Template;
  readonly decoders: readonly Decoder[];
}

/** Names that begin a text, the likeliest first: a template says which, but not every file has one. */
const BOS_NAMES = [
  "<s>",
  "<|begin_of_text|>",
  "<bos>",
  "<｜begin▁of▁sentence｜>",
  "<|startoftext|>",
  "[BOS]",
  "<BOS_TOKEN>",
  "<|endoftext|>",
];

/** Names that end a text or a turn, those that end a text first. */
const EOS_NAMES = [
  "</s>",
  "<|end_of_text|>",
  "<|endoftext|>",
  "<eos>",
  "<｜end▁of▁sentence｜>",
  "[EOS]",
  "<EOS_TOKEN>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|eot|>",
  "<|eom|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<end_of_turn>",
  "<|END_OF_TURN_TOKEN|>",
  "<EOT>",
];

/**
 * Reads a tokenizer.json. Its settings of truncation and padding are ignored: cria neither cuts nor fills.
 * The file does not name BOS and EOS: they are the ids that the post-processor's template puts before and after a
 * text, and special tokens with the names that models give them.
 *
 * Source: huggingface/tokenizers, tokenizers/src (serialization of each component).
 * @param name what error messages call the file
 * @throws FormatError if the file is cut or contradicts itself
 * @throws UnsupportedError for a component that is not implemented; says which, where, and lists what is
 */
export function parseTokenizerJson(bytes: Uint8Array, name = "tokenizer.json"): HuggingFaceData {
  const json = JsonValue.parse(bytes, name);
  const model = readModel(json.get("model"));
  const addedTokens = readAddedTokens(json.get("added_tokens"));
  const spellings = withAdded(model, addedTokens, json);
  if (spellings.length === 0) throw json.get("model").get("vocab").expected("at least one token");
  const template = readTemplate(json.get("post_processor"), spellings.length);
  const normalizer = json.get("normalizer");
  const preTokenizer = json.get("pre_tokenizer");
  const special = new Map(
    addedTokens.filter((token) => token.special).map(({ content, id }) => [content, id]),
  );
  const named = (names: readonly string[]) =>
    names.flatMap((candidate) => (special.has(candidate) ? [special.get(candidate) as number] : []));
  return {
    kind: "huggingface",
    types: typesOf(model, addedTokens, spellings.length),
    bosId: template.before[0] ?? named(BOS_NAMES)[0],
    eosIds: [...new Set([...template.after.slice(-1), ...named(EOS_NAMES)])],
    unkId: model.unkId,
    addBos: template.before.length > 0,
    addEos: template.after.length > 0,
    spellings,
    addedTokens,
    normalizer: normalizer.isNull ? undefined : readNormalizer(normalizer),
    preTokenizers: preTokenizer.isNull ? [] : readPreTokenizers(preTokenizer),
    model,
    template,
    decoders: readDecoders(json.get("decoder")),
  };
}

/** The text of every id, of the model and added. */
function withAdded(model: Model, added: readonly AddedToken[], json: JsonValue): (string | undefined)[] {
  const spellings = [...model.tokens];
  for (const { id, content } of added) {
    const known = model.ids.get(content) ?? id;
    const other = spellings[id];
    if (known !== id || (other !== undefined && other !== content)) {
      throw json
        .get("added_tokens")
        .expected(`the model's own tokens or new ones`, `${JSON.stringify(content)} with the id ${id}`);
    }
    while (spellings.length < id) spellings.push(undefined);
    spellings[id] = content;
  }
  if (spellings.length > MAX_PIECES)
    throw json.expected(`at most ${MAX_PIECES} tokens`, String(spellings.length));
  return spellings;
}

function typesOf(model: Model, added: readonly AddedToken[], size: number): Uint8Array {
  const types = new Uint8Array(size).fill(TokenType.normal);
  for (const { id, special } of added) types[id] = special ? TokenType.control : TokenType.userDefined;
  if (model.unkId !== undefined) types[model.unkId] = TokenType.unknown;
  return types;
}
