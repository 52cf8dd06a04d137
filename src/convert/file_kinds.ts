// The kinds of files that are written, such as Q4_K_M: each is a mix of tensor types.

/** What a file can be quantized to, by the names of llama.cpp's quantizer. */
export type QuantizeType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q8_0"
  | "Q6_K"
  | "Q5_K_M"
  | "Q5_1"
  | "Q5_0"
  | "Q4_K_M"
  | "Q4_K_S"
  | "Q4_1"
  | "Q4_0"
  | "IQ4_NL";

/** A kind of file. */
export interface FileKind {
  /** `general.file_type`. */
  readonly code: number;
  /** The tensor type of most matrices. */
  readonly type: string;
  /** Whether the matrices that matter most get more bits. */
  readonly mixed: boolean;
}

function kind(code: number, type: string, mixed = true): FileKind {
  return { code, type, mixed };
}

/** All kinds. Numbers: enum llama_ftype of llama.h. */
export const fileKinds: Readonly<Record<QuantizeType, FileKind>> = {
  F32: kind(0, "F32", false),
  F16: kind(1, "F16", false),
  BF16: kind(32, "BF16", false),
  Q8_0: kind(7, "Q8_0"),
  Q6_K: kind(18, "Q6_K"),
  Q5_K_M: kind(17, "Q5_K"),
  Q5_1: kind(9, "Q5_1"),
  Q5_0: kind(8, "Q5_0"),
  Q4_K_M: kind(15, "Q4_K"),
  Q4_K_S: kind(14, "Q4_K"),
  Q4_1: kind(3, "Q4_1"),
  Q4_0: kind(2, "Q4_0"),
  IQ4_NL: kind(25, "IQ4_NL"),
};

/** Their names, from the most bits to the fewest. */
export const quantizeTypes = Object.keys(fileKinds) as readonly QuantizeType[];

/** Tensor types that can be written. */
export const writtenTypes: ReadonlySet<string> = new Set(Object.values(fileKinds).map(({ type }) => type));
