// Views of tensors: which rows of which tensor a weight is. Fused tensors hold several weights, one below the other.
import type { Role } from "../arch/spec.ts";

/** Rows of a tensor. */
export interface View {
  readonly tensor: Role;
  /** Rows of the whole tensor, those of all experts. */
  readonly tensorRows: number;
  readonly firstRow: number;
  readonly rows: number;
  /** The first of the tensor's dimensions, if its rows have two: experts, or rows of a table. */
  readonly parts?: number;
}

/** A whole tensor. */
export function whole(tensor: Role, rows: number): View {
  return { tensor, tensorRows: rows, firstRow: 0, rows };
}

/** The weights of a fused tensor, which have so many rows each. */
export function fused(tensor: Role, rows: readonly number[]): View[] {
  const tensorRows = rows.reduce((sum, n) => sum + n, 0);
  let firstRow = 0;
  return rows.map((n) => {
    const view = { tensor, tensorRows, firstRow, rows: n };
    firstRow += n;
    return view;
  });
}

/** A tensor of `n` rows of so many values that is one vector in memory. */
export function tableOf(tensor: Role, n: number, values: number): View {
  return { tensor, tensorRows: n * values, firstRow: 0, rows: n * values, parts: n };
}

/**
 * Expert `i` of a tensor that holds `experts` of them, one behind the other.
 * @param rows rows of each weight that an expert has there, in their order
 */
export function expertOf(tensor: Role, experts: number, i: number, rows: readonly number[]): View[] {
  return fused(tensor, rows).map((view) => ({
    ...view,
    tensorRows: experts * view.tensorRows,
    firstRow: i * view.tensorRows + view.firstRow,
    parts: experts,
  }));
}

/** The shape of a view's tensor, which has so many values in each row. */
export function shapeOf({ tensorRows, parts }: View, cols?: number): number[] {
  const row = cols === undefined ? [] : [cols];
  return parts === undefined ? [tensorRows, ...row] : [parts, tensorRows / parts, ...row];
}
