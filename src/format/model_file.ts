// What every reader of model files gives: metadata, tensors and their places.
import type { ByteSource } from "../source/byte_source.ts";
import type { TokenizerData } from "../tokenizer/registry.ts";

/** Scalar and array types of file metadata (GGUF's names). */
export type MetaType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "f32"
  | "bool"
  | "string"
  | "u64"
  | "i64"
  | "f64";

/** One metadata value. 64-bit integers are numbers up to 2^53 - 1 and bigints beyond. */
export type MetaValue =
  | { readonly type: MetaType; readonly value: number | bigint | boolean | string }
  | {
      readonly type: "array";
      readonly elementType: MetaType;
      /** Typed array for fixed-size numbers, plain array for strings, booleans and 64-bit integers. */
      readonly value:
        | ArrayLike<number>
        | readonly string[]
        | readonly boolean[]
        | readonly (number | bigint)[];
    };

/**
 * The type of a tensor's data under GGUF's name ("F32", "Q8_0", also types that cria has no kernels for);
 * llama2.c's int8 groups are "Q8_G", see {@link TensorInfo.scales}.
 */
export type TensorType = string;

/** Where a tensor is, and what it is. */
export interface TensorInfo {
  readonly name: string;
  /** Outermost first: a matrix is [rows, cols], each row contiguous in the file. */
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Where its bytes are. The tensors of one model may lie in several sources. */
  readonly source: ByteSource;
  /** Absolute byte offset in `source`, checked to lie inside it. */
  readonly offset: number;
  readonly byteLength: number;
  /**
   * For formats that store quantization scales apart from the values (llama2.c v2): the f32 scales of this tensor, in
   * the same source, and how many values share one. Groups count through the whole tensor: one may reach over the end
   * of a row.
   */
  readonly scales?: { readonly offset: number; readonly byteLength: number; readonly groupSize: number };
}

/** Chat templates of a model, and texts of its special tokens that they write. */
export interface ChatTemplates {
  /** The one that usually counts is "default"; another usual name is "tool_use". */
  readonly byName: ReadonlyMap<string, string>;
  /** What tokenizer_config.json says; else those of the vocabulary's ids count. */
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
}

/** What a model file says about itself, read from its header only. */
export interface ModelFile {
  readonly format: "gguf" | "llama2c" | "safetensors";
  /** What says what the model is: a file with a header, the first of several, config.json. Tensors name their own. */
  readonly source: ByteSource;
  /** Architecture name as the file gives it ("llama"). */
  readonly architecture: string;
  /** Metadata under GGUF's names, those of llama2.c under its own; model/hyper/ translates them. */
  readonly metadata: ReadonlyMap<string, MetaValue>;
  /** Tensors by GGUF name (token_embd.weight, blk.0.attn_q.weight, ...), whatever the format. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * Checks that the file ends where its header says, in formats whose size tells what they hold. Called after the last
   * tensor was read: only then does a stream know its size.
   * @throws FormatError if more follows
   */
  checkEnd?(): Promise<void>;
  /** Chat templates that stand in other files than metadata; chatTemplatesOf() has those of metadata too. */
  readonly chatTemplates?: ChatTemplates;
  /** Tokenizer inside the file, if there is one. Parsed lazily: throws its own errors. */
  tokenizer(): TokenizerData | undefined;
}
