// LFM2: short convolutions in the place of attention in most layers.
import type { ModelFile } from "../../../format/model_file.ts";
import { FormatError } from "../../../util/errors.ts";
import type { Hyper } from "../../config.ts";
import { integer } from "../../hyper/values.ts";
import { ggufName } from "../gguf_names.ts";
import { attention, gated, MAX_TAPS, NO_ATTENTION, rms, rmsHyper, rmsUsual } from "../parts.ts";
import type { Architecture } from "../spec.ts";

const TAPS = "shortconv.l_cache";

interface Lfm2Hyper extends Hyper {
  readonly taps: number;
  /** Whether a layer has attention. */
  readonly hasHeads: readonly boolean[];
}

/** Source: Liquid AI 2025, "LFM2 Technical Report", arXiv:2511.23404; names of keys and tensors: llama.cpp */
export const lfm2: Architecture<Lfm2Hyper> = {
  name: "lfm2",
  ...rmsUsual,
  hyper(file: ModelFile): Lfm2Hyper {
    const usual = rmsHyper(file, { headless: true, fused: false, reads: [TAPS] });
    const { dim, nLayers } = usual.config;
    const taps = integer(file, `lfm2.${TAPS}`, { min: 2, max: MAX_TAPS });
    if (dim % 4) {
      throw new FormatError(
        `Cannot load ${file.source.name}: Expected lfm2.embedding_length to be a multiple of 4, got ${dim}`,
      );
    }
    const counts = file.metadata.get("lfm2.attention.head_count_kv");
    const hasHeads = Array.from(
      { length: nLayers },
      (_, i) => counts?.type !== "array" || counts.value[i] !== 0,
    );
    return { ...usual, taps, hasHeads };
  },
  layer: (i, hyper) => ({
    norm: rms(hyper),
    ...(hyper.hasHeads[i]
      ? { attention: attention(hyper, "halves", { headNorm: { over: "head" } }) }
      : { mixer: { kind: "short convolution", taps: hyper.taps }, attention: NO_ATTENTION }),
    feedForward: gated(hyper, "silu"),
  }),
  tensors: (role, layer) => (role === "outputNorm.weight" ? "token_embd_norm.weight" : ggufName(role, layer)),
};
