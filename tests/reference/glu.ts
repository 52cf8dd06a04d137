// Scalar f64 twin of assembly/plan/ops/glu.ts.
import {
  GLU_GEGLU,
  GLU_GEGLU_ERF,
  GLU_GELU,
  GLU_GELU_ERF,
  GLU_REGLU,
  GLU_RELU,
  GLU_SIGMOID,
  GLU_SILU,
  GLU_SWIGLU,
} from "../../assembly/layout/ops.ts";
import { exactGelu, gelu, relu, sigmoid, silu } from "./math.ts";

/** A kind of gated unit or activation: its GLU_* number and what it does to gate and up. */
export interface GluKind {
  readonly name: string;
  readonly kind: number;
  readonly gated: boolean;
  readonly apply: (gate: number, up: number) => number;
}

/** Every kind glu_f32() knows. */
export const gluKinds: readonly GluKind[] = [
  { name: "SwiGLU", kind: GLU_SWIGLU, gated: true, apply: (gate, up) => silu(gate) * up },
  { name: "GeGLU", kind: GLU_GEGLU, gated: true, apply: (gate, up) => gelu(gate) * up },
  { name: "ReGLU", kind: GLU_REGLU, gated: true, apply: (gate, up) => relu(gate) * up },
  { name: "exact GeGLU", kind: GLU_GEGLU_ERF, gated: true, apply: (gate, up) => exactGelu(gate) * up },
  { name: "exact GELU", kind: GLU_GELU_ERF, gated: false, apply: exactGelu },
  { name: "SiLU", kind: GLU_SILU, gated: false, apply: silu },
  { name: "GELU", kind: GLU_GELU, gated: false, apply: gelu },
  { name: "ReLU", kind: GLU_RELU, gated: false, apply: relu },
  { name: "sigmoid", kind: GLU_SIGMOID, gated: false, apply: sigmoid },
];
