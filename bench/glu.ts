// Suite: gated units and plain activations of one row.
import * as op from "../assembly/layout/ops.ts";
import { places, RowCycle } from "./rows.ts";
import { runSuites, type Suite } from "./suite.ts";

/** Hidden size of TinyLlama-1.1B's feed-forward block. */
const N = 5632;
/** Inputs lie in [-RANGE, RANGE). */
const RANGE = 6;

const kinds = [
  { name: "swiglu", kind: op.GLU_SWIGLU },
  { name: "geglu", kind: op.GLU_GEGLU },
  { name: "reglu", kind: op.GLU_REGLU },
  { name: "silu", kind: op.GLU_SILU },
  { name: "gelu", kind: op.GLU_GELU },
  { name: "relu", kind: op.GLU_RELU },
  { name: "sigmoid", kind: op.GLU_SIGMOID },
];

export const glu: Suite = {
  name: "glu",
  about:
    "One row in each call. Bytes are those of the rows read: gate and up for gated units, gate alone for the others. " +
    "The result stays in the cache.",
  async run(session) {
    for (const place of places) {
      const area = await session.area();
      const { kernels } = area;
      const gates = new RowCycle(area, N, place, RANGE, 0.5);
      const ups = new RowCycle(area, N, place, RANGE, 0.5);
      const out = area.alloc(4 * N);
      for (const { name, kind } of kinds) {
        const inputs = kind <= op.GLU_REGLU ? 2 : 1;
        await session.measure({
          name,
          shape: `${N}, from ${place}`,
          work: { bytes: 4 * N * inputs, elements: N },
          call: () => kernels.glu_f32(kind, gates.next(), ups.next(), out, N),
        });
      }
    }
  },
};

if (import.meta.main) await runSuites([glu]);
