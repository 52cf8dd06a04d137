import { GLU_SWIGLU, NORM_RMS, PAIRING_ADJACENT } from "../../../assembly/layout/ops.ts";
import type { ArchSpec } from "./spec.ts";

/** Llama, as GGUF and llama2.c store it: q and k rows in the order of adjacent rotary pairs. */
export const llama: ArchSpec = {
  name: "llama",
  norm: NORM_RMS,
  glu: GLU_SWIGLU,
  ropePairing: PAIRING_ADJACENT,
};
