// Reads what a file says of its experts: how many there are, how tokens choose them, and what stands beside them.
import type { ModelFile } from "../../format/model_file.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import type { Presence } from "../arch/spec.ts";
import { type ExpertNumbers, MAX_DIM, type ModelConfig } from "../config.ts";
import { describeMeta } from "../config_keys.ts";
import { integer, real } from "./values.ts";

/** What differs between architectures in how they use GGUF's keys of experts. */
export interface ExpertVocabulary {
  /** Whether files must have experts. */
  readonly presence: Presence;
  /** What files that do not say have; without it "softmax". */
  readonly gate?: ExpertNumbers["gate"];
  /** What files that do not say have; without it true. */
  readonly normalize?: boolean;
  /**
   * Whether there is a shared expert: none; one if the file says its size; one in any case, by default as long inside as a
   * dense layer. Without it none.
   */
  readonly shared?: "if stated" | "always";
}

const MAX_EXPERTS = 65536;
// Each costs a pass over all.
const MAX_USED = 256;
const MAX_SCALE = 1e9;

const SHARED_COUNT = "expert_shared_count";
const SHARED_LENGTH = "expert_shared_feed_forward_length";

/** Keys that {@link expertNumbers} reads if there are experts, without the architecture's name before them. */
export function expertKeys({ shared }: ExpertVocabulary): readonly string[] {
  return shared ? [...usualKeys, SHARED_COUNT, SHARED_LENGTH] : usualKeys;
}

const usualKeys: readonly string[] = [
  "expert_used_count",
  "expert_feed_forward_length",
  "expert_group_count",
  "expert_group_used_count",
  "expert_gating_func",
  "expert_weights_norm",
  "expert_weights_scale",
  "leading_dense_block_count",
];

/**
 * The experts of a GGUF file; undefined if it has none.
 * @param vocabulary what the architecture asks for; undefined: it knows no experts
 * @param dense its layers, and the length of a row inside one without experts
 * @throws FormatError; UnsupportedError for experts of an architecture that knows none
 */
export function expertNumbers(
  file: ModelFile,
  vocabulary: ExpertVocabulary | undefined,
  { hiddenDim: dense, nLayers }: { readonly hiddenDim: number; readonly nLayers: number },
): ExpertNumbers | undefined {
  const at = (key: string) => `${file.architecture}.${key}`;
  const most = { max: MAX_EXPERTS };
  const range = vocabulary?.presence === "required" ? { min: 1, ...most } : { min: 0, ...most, fallback: 0 };
  const n = integer(file, at("expert_count"), range);
  if (n === 0) return undefined;
  if (!vocabulary) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported mixture of ${n} experts; supported: dense models`,
    );
  }
  const used = integer(file, at("expert_used_count"), { min: 1, max: Math.min(n, MAX_USED) });
  const length = { min: 1, max: MAX_DIM, fallback: dense };
  const hiddenDim = integer(file, at("expert_feed_forward_length"), length);
  const scale = real(file, at("expert_weights_scale"), { min: 0, max: MAX_SCALE, fallback: 0 });
  const groups = expertGroups(file, n, used);
  const shared = vocabulary.shared && sharedSize(file, hiddenDim, vocabulary.shared === "always" ? dense : 0);
  const denseLayers = integer(file, at("leading_dense_block_count"), {
    min: 0,
    max: nLayers - 1,
    fallback: 0,
  });
  return {
    n,
    used,
    hiddenDim,
    gate: gateOf(file, vocabulary.gate ?? "softmax"),
    normalize: flag(file, at("expert_weights_norm"), vocabulary.normalize ?? true),
    ...(scale && { scale }),
    ...(groups && { groups }),
    ...(file.tensors.has(`blk.${denseLayers}.ffn_gate_up_exps.weight`) && { fused: true }),
    ...(shared && { shared: { hiddenDim: shared } }),
    ...(denseLayers && { denseLayers }),
  };
}

/** What configurations say of experts. */
export function expertConfig({
  n,
  used,
  hiddenDim,
  groups,
  shared,
  denseLayers,
}: ExpertNumbers): Partial<ModelConfig> {
  return {
    nExperts: n,
    nExpertsUsed: used,
    expertHiddenDim: hiddenDim,
    ...(shared && { sharedHiddenDim: shared.hiddenDim }),
    ...(groups && { nExpertGroups: groups.n, nExpertGroupsUsed: groups.used }),
    ...(denseLayers && { nDenseLayers: denseLayers }),
  };
}

// The groups of n experts; undefined if all are one.
function expertGroups(file: ModelFile, n: number, used: number): ExpertNumbers["groups"] {
  const key = `${file.architecture}.expert_group_count`;
  const count = integer(file, key, { min: 0, max: n, fallback: 0 });
  if (count <= 1) return undefined;
  const size = n / count;
  if (!Number.isInteger(size)) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be a divisor of the ${n} experts, got ${count}`,
    );
  }
  // Fewer groups would not have enough experts.
  const usedGroups = integer(file, `${file.architecture}.expert_group_used_count`, {
    min: Math.ceil(used / size),
    max: count,
  });
  return { n: count, used: usedGroups };
}

// Length of a row inside the shared expert; `fallback`, 0 for none, if the file does not say.
function sharedSize(file: ModelFile, hiddenDim: number, fallback: number): number {
  const [lengthKey, countKey] = [SHARED_LENGTH, SHARED_COUNT].map((key) => `${file.architecture}.${key}`) as [
    string,
    string,
  ];
  const stated = integer(file, lengthKey, { min: 0, max: MAX_DIM, fallback: 0 });
  const most = Math.floor(MAX_DIM / hiddenDim);
  const count = integer(file, countKey, { min: 0, max: most, fallback: 0 });
  if (stated && count && stated !== count * hiddenDim && stated !== hiddenDim) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${lengthKey} to be ${hiddenDim} or ${count} times as much (${countKey}), got ${stated}`,
    );
  }
  // A length may be that of one of several, which are one block.
  return count * hiddenDim || stated || fallback;
}

// As llama.cpp numbers them; 0 is how files say nothing.
const gates = [undefined, "softmax", "sigmoid", "softmax of chosen"] as const;

function gateOf(file: ModelFile, fallback: ExpertNumbers["gate"]): ExpertNumbers["gate"] {
  const key = `${file.architecture}.expert_gating_func`;
  const code = integer(file, key, { min: 0, max: 2 ** 31 - 1, fallback: 0 });
  if (code < gates.length) return gates[code] ?? fallback;
  throw new UnsupportedError(
    `Cannot load ${file.source.name}: Unsupported ${key} ${code}; supported: 1 (softmax), 2 (sigmoid), 3 (softmax of those that are chosen)`,
  );
}

function flag(file: ModelFile, key: string, fallback: boolean): boolean {
  const meta = file.metadata.get(key);
  if (!meta) return fallback;
  if (meta.type === "bool") return meta.value as boolean;
  throw new FormatError(
    `Cannot load ${file.source.name}: Expected ${key} to be a bool, got ${describeMeta(meta)}`,
  );
}
