// Views of tensors: which rows of which tensor a weight is. Fused tensors hold several weights, one below the other.
import type { Role } from "../arch/spec.ts";

/** Rows of a tensor. */
export interface View {
  readonly tensor: Role;
  /** Rows of the whole tensor. */
  readonly tensorRows: number;
  readonly firstRow: number;
  readonly rows: number;
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
