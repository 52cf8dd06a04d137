// Reads SentencePiece models (tokenizer.model).
import { decodeUtf8 } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { checkPiece } from "../core/piece_text.ts";
import { type SentencePieceData, TokenType } from "../core/vocabulary_data.ts";
import { MessageReader } from "./protobuf.ts";

/** TrainerSpec.ModelType. */
const MODEL_TYPES = new Map<number, SentencePieceData["kind"]>([
  [1, "spm-unigram"],
  [2, "spm-bpe"],
  [3, "spm-word"],
  [4, "spm-char"],
]);

interface Pieces {
  readonly pieces: string[];
  readonly scores: number[];
  readonly types: number[];
}

/** The fields of TrainerSpec that bear on encoding and decoding, and what they are by default. */
function trainerSpec() {
  return {
    modelType: 1,
    whitespaceAsSuffix: false,
    byteFallback: false,
    unkSurface: " \u2047 ",
    bosPiece: "<s>",
    eosPiece: "</s>",
  };
}

/** The fields of NormalizerSpec likewise. */
function normalizerSpec() {
  return {
    charsmap: new Uint8Array(0) as Uint8Array,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
  };
}

/**
 * Reads a SentencePiece model, a ModelProto. BOS and EOS are the control tokens spelled as the model says
 * ("<s>" and "</s>"); BOS is added by default if there is one, as Llama's models expect.
 *
 * Source: google/sentencepiece, src/sentencepiece_model.proto.
 * @param name what error messages call the file
 * @throws FormatError if the file is cut or contradicts itself
 * @throws UnsupportedError for a denormalizer that changes spaces otherwise than by its charsmap
 */
export function parseSentencePieceModel(bytes: Uint8Array, name = "tokenizer.model"): SentencePieceData {
  const read: Pieces = { pieces: [], scores: [], types: [] };
  const trainer = trainerSpec();
  const normalizer = normalizerSpec();
  const denormalizer = normalizerSpec();
  const model = new MessageReader(bytes, name);
  while (model.next()) {
    if (model.field === 1) readPiece(model.message(), read, name);
    else if (model.field === 2) readTrainerSpec(model.message(), trainer);
    else if (model.field === 3) readNormalizerSpec(model.message(), normalizer);
    else if (model.field === 5) readNormalizerSpec(model.message(), denormalizer);
    else model.skip();
  }
  const kind = MODEL_TYPES.get(trainer.modelType);
  if (kind === undefined) {
    throw new FormatError(`Cannot read ${name}: Expected a model type from 1 to 4, got ${trainer.modelType}`);
  }
  if (denormalizer.charsmap.length > 0) checkDenormalizer(denormalizer, name);
  if (trainer.byteFallback) checkByteTokens(read, name);
  const control = (piece: string) => idOf(read, piece, TokenType.control);
  const bosId = control(trainer.bosPiece);
  const eosId = control(trainer.eosPiece);
  const unkId = read.types.indexOf(TokenType.unknown);
  return {
    kind,
    ...read,
    bosId,
    eosIds: eosId === undefined ? [] : [eosId],
    unkId: unkId < 0 ? undefined : unkId,
    addDummyPrefix: normalizer.addDummyPrefix,
    removeExtraWhitespaces: normalizer.removeExtraWhitespaces,
    ...(normalizer.escapeWhitespaces ? {} : { escapeWhitespaces: false }),
    ...(trainer.whitespaceAsSuffix ? { whitespaceAsSuffix: true } : {}),
    ...(normalizer.charsmap.length > 0 ? { charsmap: normalizer.charsmap.slice() } : {}),
    ...(denormalizer.charsmap.length > 0 ? { denormalizerCharsmap: denormalizer.charsmap.slice() } : {}),
    unkSurface: trainer.unkSurface,
    addBos: bosId !== undefined,
    addEos: false,
  };
}

function readPiece(message: MessageReader, { pieces, scores, types }: Pieces, name: string): void {
  let text: string | undefined = "";
  let score = 0;
  let type: number = TokenType.normal;
  while (message.next()) {
    if (message.field === 1) text = message.text();
    else if (message.field === 2) score = message.float();
    else if (message.field === 3) type = message.varint();
    else message.skip();
  }
  pieces.push(checkPiece(text, pieces.length, name));
  scores.push(score);
  types.push(type);
}

function readTrainerSpec(message: MessageReader, spec: ReturnType<typeof trainerSpec>): void {
  while (message.next()) {
    if (message.field === 3) spec.modelType = message.varint();
    else if (message.field === 24) spec.whitespaceAsSuffix = message.bool();
    else if (message.field === 35) spec.byteFallback = message.bool();
    else if (message.field === 44) spec.unkSurface = decodeUtf8(message.bytes());
    else if (message.field === 46) spec.bosPiece = decodeUtf8(message.bytes());
    else if (message.field === 47) spec.eosPiece = decodeUtf8(message.bytes());
    else message.skip();
  }
}

function readNormalizerSpec(message: MessageReader, spec: ReturnType<typeof normalizerSpec>): void {
  while (message.next()) {
    if (message.field === 2) spec.charsmap = message.bytes();
    else if (message.field === 3) spec.addDummyPrefix = message.bool();
    else if (message.field === 4) spec.removeExtraWhitespaces = message.bool();
    else if (message.field === 5) spec.escapeWhitespaces = message.bool();
    else message.skip();
  }
}

/** Trainers write a denormalizer that only replaces; the format has the other rules on by default. */
function checkDenormalizer(spec: ReturnType<typeof normalizerSpec>, name: string): void {
  if (spec.addDummyPrefix || spec.removeExtraWhitespaces || spec.escapeWhitespaces) {
    throw new UnsupportedError(
      `Cannot read ${name}: A denormalizer that adds, removes or escapes spaces is not supported; supported: a charsmap alone`,
    );
  }
}

function checkByteTokens({ types }: Pieces, name: string): void {
  const n = types.filter((type) => type === TokenType.byte).length;
  if (n !== 256) {
    throw new FormatError(`Cannot read ${name}: Expected 256 byte tokens, as byte_fallback is set, got ${n}`);
  }
}

function idOf({ pieces, types }: Pieces, piece: string, type: number): number | undefined {
  const id = pieces.findIndex((text, i) => text === piece && types[i] === type);
  return id < 0 ? undefined : id;
}
