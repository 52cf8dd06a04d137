// Scalar f64 twin of assembly/plan/ops/glu.ts.
import {
  GLU_GEGLU,
  GLU_GELU,
  GLU_REGLU,
  GLU_RELU,
  GLU_SIGMOID,
  GLU_SILU,
  GLU_SWIGLU,
} from "../../assembly/layout/ops.ts";
import { gelu, relu, sigmoid, silu } from "./math.ts";

/** A kind of gated unit or activation: its GLU_* number and what it does to gate and up. */
export interface GluKind {
  readonly name: string;
  readonly kind: number;
  readonly apply: (gate: number, up: number) => number;
}

/** Every kind glu_f32() knows. */
export const gluKinds: readonly GluKind[] = [
  { name: "SwiGLU", kind: GLU_SWIGLU, apply: (gate, up) => silu(gate) * up },
  { name: "GeGLU", kind: GLU_GEGLU, apply: (gate, up) => gelu(gate) * up },
  { name: "ReGLU", kind: GLU_REGLU, apply: (gate, up) => relu(gate) * up },
  { name: "SiLU", kind: GLU_SILU, apply: silu },
  { name: "GELU", kind: GLU_GELU, apply: gelu },
  { name: "ReLU", kind: GLU_RELU, apply: relu },
  { name: "sigmoid", kind: GLU_SIGMOID, apply: sigmoid },
];
