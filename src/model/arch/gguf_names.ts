// Names that GGUF files of most architectures give to their tensors.
import type { LayerPart, ModelPart, Role } from "./spec.ts";

const modelStems: Readonly<Record<ModelPart, string>> = {
  embedding: "token_embd",
  positions: "position_embd",
  outputNorm: "output_norm",
  output: "output",
  ropeFactors: "rope_freqs",
  longFactors: "rope_factors_long",
  shortFactors: "rope_factors_short",
};

const layerStems: Readonly<Record<LayerPart, string>> = {
  attnNorm: "attn_norm",
  q: "attn_q",
  k: "attn_k",
  v: "attn_v",
  qkv: "attn_qkv",
  qNorm: "attn_q_norm",
  kNorm: "attn_k_norm",
  sinks: "attn_sinks",
  qDown: "attn_q_a",
  qDownNorm: "attn_q_a_norm",
  qUp: "attn_q_b",
  kvDown: "attn_kv_a_mqa",
  kvDownNorm: "attn_kv_a_norm",
  kUp: "attn_k_b",
  vUp: "attn_v_b",
  attnOutput: "attn_output",
  convInput: "shortconv.in_proj",
  convKernel: "shortconv.conv",
  convOutput: "shortconv.out_proj",
  deltaKernel: "ssm_conv1d",
  deltaGate: "attn_gate",
  deltaAlpha: "ssm_alpha",
  deltaTime: "ssm_dt",
  deltaBeta: "ssm_beta",
  deltaRates: "ssm_a",
  deltaNorm: "ssm_norm",
  deltaOutput: "ssm_out",
  attnPostNorm: "post_attention_norm",
  ffnNorm: "ffn_norm",
  gate: "ffn_gate",
  up: "ffn_up",
  gateUp: "ffn_up",
  down: "ffn_down",
  ffnPostNorm: "post_ffw_norm",
  router: "ffn_gate_inp",
  choice: "exp_probs_b",
  gateExperts: "ffn_gate_exps",
  upExperts: "ffn_up_exps",
  gateUpExperts: "ffn_gate_up_exps",
  downExperts: "ffn_down_exps",
  sharedRouter: "ffn_gate_inp_shexp",
  gateShared: "ffn_gate_shexp",
  upShared: "ffn_up_shexp",
  downShared: "ffn_down_shexp",
};

/** GGUF's name of the tensor with a role: "token_embd.weight", "blk.3.attn_q.bias". */
export function ggufName(role: Role, layer: number): string {
  const [part, suffix] = role.split(".") as [ModelPart | LayerPart, string];
  return part in layerStems
    ? `blk.${layer}.${layerStems[part as LayerPart]}.${suffix}`
    : `${modelStems[part as ModelPart]}.${suffix}`;
}
