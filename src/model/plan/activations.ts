// Activations: a layer's inputs to matrices, written once in each format that the matrices take.
import type { Matrix } from "../weights/weights.ts";
import { actFormats, type Buffers, type Rows } from "./buffers.ts";

/** Rows that hold an input, by the format (ACT_*) in which they hold it. */
export type Activations = ReadonlyMap<number, Rows>;

/** Room for the input of some matrices, in these rows. */
export function activationsFor(matrices: readonly Matrix[], acts: readonly Rows[]): Activations {
  return new Map(actFormats(matrices).map((format, i) => [format, acts[i] as Rows]));
}

/** The rows that inputs of tokens are written to. */
export function tokenActs({ act, moreActs }: Buffers): readonly Rows[] {
  return [act, ...moreActs];
}

/** The input of a matrix. */
export function inputOf(matrix: Matrix, activations: Activations): Rows {
  return activations.get(matrix.format.activation) as Rows;
}

/** What a matrix's bias adds to the products of every token. */
export function biasRows({ bias }: Matrix): Rows | undefined {
  return bias && { address: bias.address, stride: 0 };
}
