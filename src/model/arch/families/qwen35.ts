// Qwen 3.5: gated delta-nets, and in every fourth layer attention whose result has a gate.
import type { ModelFile } from "../../../format/model_file.ts";
import { FormatError } from "../../../util/errors.ts";
import { type Hyper, MAX_DIM, MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS } from "../../config.ts";
import { integer } from "../../hyper/values.ts";
import { ggufName } from "../gguf_names.ts";
import { attention, gated, MAX_TAPS, NO_ATTENTION, rms, rmsHyper, rmsUsual } from "../parts.ts";
import type { Architecture, DeltaNetSpec, Role } from "../spec.ts";

const [TAPS, HEAD_DIM, KEY_HEADS, HEADS, INNER] = [
  "ssm.conv_kernel",
  "ssm.state_size",
  "ssm.group_count",
  "ssm.time_step_rank",
  "ssm.inner_size",
] as const;
const INTERVAL = "full_attention_interval";
// Parts of a head that turn by places in a picture. Text turns all of them by its position.
const SECTIONS = "rope.dimension_sections";

interface Qwen35Hyper extends Hyper {
  readonly delta: DeltaNetSpec;
  /** Of so many layers in a row the last has attention. */
  readonly interval: number;
}

function deltaOf(file: ModelFile): DeltaNetSpec {
  const at = (key: string) => `${file.architecture}.${key}`;
  const number = (key: string, min: number, max: number) => integer(file, at(key), { min, max });
  const fail = (expected: string) => {
    throw new FormatError(`Cannot load ${file.source.name}: Expected ${expected}`);
  };
  const taps = number(TAPS, 2, MAX_TAPS);
  const headDim = number(HEAD_DIM, 4, MAX_HEAD_DIM);
  const heads = number(HEADS, 1, MAX_HEADS);
  const keyHeads = number(KEY_HEADS, 1, heads);
  const inner = number(INNER, 1, MAX_DIM);
  if (headDim % 4) fail(`${at(HEAD_DIM)} to be a multiple of 4, got ${headDim}`);
  if (heads % keyHeads) fail(`${at(HEADS)} to be a multiple of ${at(KEY_HEADS)} ${keyHeads}, got ${heads}`);
  if (inner !== heads * headDim) {
    fail(`${at(INNER)} to be ${at(HEADS)} ${heads} times ${at(HEAD_DIM)} ${headDim}, got ${inner}`);
  }
  return { kind: "delta net", taps, heads, keyHeads, headDim };
}

/** Source: Qwen 2026, model cards of Qwen3.5; names of keys and tensors: llama.cpp */
export const qwen35: Architecture<Qwen35Hyper> = {
  name: "qwen35",
  ...rmsUsual,
  hyper(file: ModelFile): Qwen35Hyper {
    const usual = rmsHyper(file, {
      partialRope: true,
      fused: false,
      reads: [TAPS, HEAD_DIM, KEY_HEADS, HEADS, INNER, INTERVAL, SECTIONS],
    });
    const interval = integer(file, `qwen35.${INTERVAL}`, { min: 1, max: MAX_LAYERS, fallback: 4 });
    return { ...usual, delta: deltaOf(file), interval };
  },
  layer: (i, hyper) => ({
    norm: rms(hyper),
    ...((i + 1) % hyper.interval === 0
      ? { attention: attention(hyper, "halves", { headNorm: { over: "head" }, gated: true }) }
      : { mixer: hyper.delta, attention: NO_ATTENTION }),
    feedForward: gated(hyper, "silu"),
  }),
  tensors(role: Role, layer: number): string {
    if (role === "deltaRates.weight") return `blk.${layer}.ssm_a`;
    return ggufName(role === "ffnNorm.weight" ? "attnPostNorm.weight" : role, layer);
  },
};
