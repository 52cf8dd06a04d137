// Grouped-query attention: which query heads read which head of keys and values.

/**
 * The tables that the attention record reads.
 * `heads` [nHeads] lists q heads in order of their kv head. `groups` [nKvHeads + 1] says where each kv head's
 * q heads begin. Consecutive q heads share a kv head (Ainslie et al. 2023, "GQA", arXiv:2305.13245): MHA is
 * nKvHeads = nHeads, MQA nKvHeads = 1.
 */
export interface HeadTable {
  readonly heads: Int32Array;
  readonly groups: Int32Array;
}

/** The table of a model whose q head h reads kv head floor(h / kvMul). Needs nHeads % nKvHeads == 0. */
export function headTable(nHeads: number, nKvHeads: number): HeadTable {
  const kvMul = nHeads / nKvHeads;
  return {
    heads: Int32Array.from({ length: nHeads }, (_, h) => h),
    groups: Int32Array.from({ length: nKvHeads + 1 }, (_, h) => h * kvMul),
  };
}
