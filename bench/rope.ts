// Suite: rotary embedding of a row of heads in both pairings, and the cosines and sines of a position.
import { places, RowCycle } from "./rows.ts";
import { runSuites, type Suite } from "./suite.ts";

const HEAD_DIM = 64;
const HALF = HEAD_DIM / 2;
const THETA = 10000;
const POSITION = 1234;
/** Query heads of TinyLlama-1.1B. */
const N_HEADS = 32;

export const rope: Suite = {
  name: "rope",
  about:
    "rotate: every head of one row in each call, in place. Bytes are those of the row, counted once although it is also " +
    "written. angles: the cosines and sines of one position; elements are pairs.",
  async run(session) {
    const n = N_HEADS * HEAD_DIM;
    for (const place of places) {
      const area = await session.area();
      const { kernels } = area;
      const rows = new RowCycle(area, n, place);
      const freqs = area.alloc(4 * HALF);
      const angles = area.alloc(8 * HALF);
      kernels.rope_freqs(THETA, HEAD_DIM, freqs);
      kernels.rope_angles(freqs, POSITION, HALF, 1, angles);
      for (const pairing of ["adjacent", "halves"] as const) {
        const rotate = kernels[`rope_${pairing}_f32`];
        await session.measure({
          name: `rotate, ${pairing}`,
          shape: `${N_HEADS} x ${HEAD_DIM}, from ${place}`,
          work: { bytes: 4 * n, elements: n },
          call: () => {
            const x = rows.next();
            for (let h = 0; h < N_HEADS; h++) rotate(x + 4 * HEAD_DIM * h, angles, HALF);
          },
        });
      }
      if (place === "memory") continue;
      await session.measure({
        name: "angles",
        shape: `${HALF}`,
        work: { elements: HALF },
        call: () => kernels.rope_angles(freqs, POSITION, HALF, 1, angles),
      });
    }
  },
};

if (import.meta.main) await runSuites([rope]);
