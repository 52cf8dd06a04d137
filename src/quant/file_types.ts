// The tensor types of files: the one list of them. It imports nothing, because scripts/build.mjs reads it too: the kernels'
// switch over types is generated from the rows that cria loads.

/** Sets of points that several values are together. */
export type GridName = "iq1" | "iq2_xxs" | "iq2_xs" | "iq2_s" | "iq3_xxs" | "iq3_s";

/** A tensor type: rows are stored as blocks of `blockCols` values in `blockBytes` bytes. */
export interface TensorType {
  /** As {@link TensorInfo.type} spells it; `<name>.ts` in or below `assembly/types/` has the decoder of a type that is loaded. */
  readonly name: string;
  /** The type's number in GGUF, and FILE_* of the pack kernel. */
  readonly code: number;
  readonly blockCols: number;
  readonly blockBytes: number;
  /** Not a type of GGUF files. */
  readonly foreign?: boolean;
  /** The weight format that it becomes unless another is asked for; undefined: cria does not load the type. */
  readonly memory?: string;
  /** Scales are stored apart from the values. */
  readonly scalesApart?: boolean;
  /** The grid (grids.ts) whose points the decoder needs in memory. */
  readonly grid?: GridName;
}

/** A tensor type that cria loads. */
export interface FileType extends TensorType {
  readonly memory: string;
}

function row(
  code: number,
  name: string,
  blockCols: number,
  blockBytes: number,
  memory?: string,
  grid?: GridName,
): TensorType {
  return { name, code, blockCols, blockBytes, ...(memory && { memory }), ...(grid && { grid }) };
}

/**
 * All known types, those that are loaded first. Numbers and sizes are those of ggml.h (enum ggml_type) and ggml-common.h. Numbers that are not here
 * were never given or are no longer read.
 */
export const tensorTypes: readonly TensorType[] = [
  row(0, "F32", 1, 4, "q8"),
  row(1, "F16", 1, 2, "q8"),
  row(30, "BF16", 1, 2, "q8"),
  row(8, "Q8_0", 32, 34, "q8"),
  row(2, "Q4_0", 32, 18, "q4"),
  row(3, "Q4_1", 32, 20, "q4m"),
  row(6, "Q5_0", 32, 22, "q5"),
  row(7, "Q5_1", 32, 24, "q5"),
  row(9, "Q8_1", 32, 36),
  row(10, "Q2_K", 256, 84, "q2k"),
  row(11, "Q3_K", 256, 110, "q3k"),
  row(12, "Q4_K", 256, 144, "q4k"),
  row(13, "Q5_K", 256, 176, "q5k"),
  row(14, "Q6_K", 256, 210, "q6k"),
  row(15, "Q8_K", 256, 292, "q8"),
  row(16, "IQ2_XXS", 256, 66, "iq2xxs", "iq2_xxs"),
  row(17, "IQ2_XS", 256, 74, "iq2", "iq2_xs"),
  row(18, "IQ3_XXS", 256, 98, "iq3xxs", "iq3_xxs"),
  row(19, "IQ1_S", 256, 50, "iq1s", "iq1"),
  row(20, "IQ4_NL", 32, 18, "nl"),
  row(21, "IQ3_S", 256, 110, "iq3s", "iq3_s"),
  row(22, "IQ2_S", 256, 82, "iq2", "iq2_s"),
  row(23, "IQ4_XS", 256, 136, "iq4xs"),
  row(24, "I8", 1, 1),
  row(25, "I16", 1, 2),
  row(26, "I32", 1, 4),
  row(27, "I64", 1, 8),
  row(28, "F64", 1, 8),
  row(29, "IQ1_M", 256, 56, "iq1m", "iq1"),
  row(34, "TQ1_0", 256, 54, "q8"),
  row(35, "TQ2_0", 256, 66, "q8"),
  row(39, "MXFP4", 32, 17, "mxfp4"),
  row(40, "NVFP4", 64, 36, "q8"),
  row(41, "Q1_0", 128, 18, "q8"),
  row(42, "Q2_0", 64, 18, "q8"),
  // llama2.c's int8.
  { ...row(1000, "Q8_G", 1, 1, "q8"), foreign: true, scalesApart: true },
];

function isLoaded(type: TensorType): type is FileType {
  return type.memory !== undefined;
}

/** Types that cria loads, by name. */
export const fileTypes: ReadonlyMap<string, FileType> = new Map(
  tensorTypes.filter(isLoaded).map((type) => [type.name, type]),
);
