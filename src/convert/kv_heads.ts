// Fewer heads of keys and values: each becomes the mean of neighbours. Source: Ainslie et al. 2023, GQA.
import type { ModelFile } from "../format/model_file.ts";
import { UnsupportedError, UsageError } from "../util/errors.ts";
import { type StoredKey, storedKey } from "./gguf_parts.ts";
import type { PlannedTensor } from "./pieces.ts";

/** Tensors whose rows are heads of keys or values. */
const POOLED = /^blk\.\d+\.attn_[kv]\.(weight|bias)$/;
/** Tensors that hold such heads in another way: fused with others, compressed, or with a norm over all of them. */
const OTHERS = /^blk\.\d+\.(attn_qkv\.|attn_kv_|attn_[kv]_b\.)/;

/**
 * The tensors of a model with `kvHeads` heads of keys and values.
 * @throws UsageError if that does not divide the heads that there are; UnsupportedError for models whose heads are not
 *   plain rows, or differ from layer to layer
 */
export function pooledTensors(
  tensors: readonly PlannedTensor[],
  file: ModelFile,
  kvHeads: number,
): PlannedTensor[] {
  const heads = givenHeads(file);
  const name = file.source.name;
  if (heads % kvHeads !== 0) {
    throw new UsageError(
      `Cannot convert ${name} with kvHeads ${kvHeads}: Expected a divisor of the ${heads} heads of keys and values that ` +
        "the model has",
    );
  }
  const refuse = (tensor: PlannedTensor): never => {
    throw new UnsupportedError(
      `Cannot convert ${name} with kvHeads: Unsupported tensor ${tensor.name}; supported: models with attn_k and attn_v`,
    );
  };
  const changed = tensors.map((tensor): PlannedTensor => {
    const [rows = 0, ...rest] = tensor.shape;
    if (OTHERS.test(tensor.name)) return refuse(tensor);
    if (/\.attn_k_norm\./.test(tensor.name) && heads > 1 && isOverAll(tensor, tensors)) return refuse(tensor);
    if (!POOLED.test(tensor.name)) return tensor;
    if (rows % heads !== 0) return refuse(tensor);
    const headRows = rows / heads;
    if (kvHeads === heads) return tensor;
    return { ...tensor, shape: [headRows * kvHeads, ...rest], pooling: { headRows, heads: heads / kvHeads } };
  });
  if (tensors.some((tensor) => POOLED.test(tensor.name))) return changed;
  throw new UnsupportedError(
    `Cannot convert ${name} with kvHeads: Expected tensors attn_k and attn_v, got none`,
  );
}

/** The keys that say so. */
export function poolingKeys({ architecture }: ModelFile, kvHeads: number | undefined): StoredKey[] {
  if (kvHeads === undefined) return [];
  return [storedKey(`${architecture}.attention.head_count_kv`, { type: "u32", value: kvHeads })];
}

function givenHeads({ architecture, metadata, source }: ModelFile): number {
  const key = (name: string) => metadata.get(`${architecture}.attention.${name}`);
  const found = key("head_count_kv") ?? key("head_count");
  const heads = found?.type === "array" ? undefined : Number(found?.value);
  if (heads !== undefined && Number.isSafeInteger(heads) && heads > 0) return heads;
  throw new UnsupportedError(
    `Cannot convert ${source.name} with kvHeads: Expected one number of heads for all layers (attention.head_count_kv)`,
  );
}

/** Whether a norm of keys has a weight for each row of the matrix of keys, and not for those of one head. */
function isOverAll({ name, shape }: PlannedTensor, tensors: readonly PlannedTensor[]): boolean {
  const keys = tensors.find((other) => other.name === name.replace("attn_k_norm", "attn_k"));
  return shape.reduce((product, dim) => product * dim, 1) === keys?.shape[0];
}
