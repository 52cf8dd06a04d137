// Suite: RMSNorm and LayerNorm of one row.
import { places, RowCycle } from "./rows.ts";
import { runSuites, type Suite } from "./suite.ts";

/** Hidden sizes: about the embedded model's, TinyLlama-1.1B's, Llama-2-7B's. */
const sizes = [288, 2048, 4096];
const EPS = 1e-5;

export const norm: Suite = {
  name: "norm",
  about:
    "One row in each call. Bytes are those of the row read. The weights and the result stay in the cache.",
  async run(session) {
    for (const n of sizes) {
      for (const place of places) {
        const area = await session.area();
        const { kernels } = area;
        const rows = new RowCycle(area, n, place);
        const weight = area.random(n, 0.5, 1.5);
        const bias = area.random(n);
        const out = area.alloc(4 * n);
        const shared = { shape: `${n}, from ${place}`, work: { bytes: 4 * n, elements: n } };
        await session.measure({
          name: "rms norm",
          ...shared,
          call: () => kernels.rmsnorm_f32(rows.next(), weight, out, n, EPS),
        });
        await session.measure({
          name: "layer norm",
          ...shared,
          call: () => kernels.layernorm_f32(rows.next(), weight, bias, out, n, EPS),
        });
      }
    }
  },
};

if (import.meta.main) await runSuites([norm]);
