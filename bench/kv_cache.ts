// Suite: the next token with the past in the KV cache, and with the past computed again.
import { embeddedModel, loadEngine, someIds } from "./models.ts";
import { significant } from "./report.ts";
import { runSuites, type Suite } from "./suite.ts";

const positions = [16, 64, 256, 500];

export const kvCache: Suite = {
  name: "kv_cache",
  about:
    "The embedded model in q8, one token at a position. With the cache it is one step of one token; without it, a " +
    "prefill of all ids before the token and the token. msPerToken and timesAsLong are computed from medians.",
  async run(session) {
    const { engine } = await loadEngine(embeddedModel, { kernel: session.options.kernel, precision: "q8" });
    const ids = someIds(engine.layout.contextLength, engine.layout.config.vocabSize);
    for (const position of positions) {
      const shape = `position ${position}`;
      const work = { tokens: 1 };
      const sequence = engine.sequence();
      await engine.prefill(sequence, ids.slice(0, position), () => {});
      const cached = await session.measure(
        {
          name: "with the cache",
          shape,
          work,
          call: async () => {
            const segment = { sequence, ids, begin: position, end: position + 1, outputs: "last" } as const;
            await engine.step([segment], () => {});
            sequence.rollback(position);
          },
        },
        ({ medianNs }) => ({ msPerToken: significant(medianNs / 1e6) }),
      );
      sequence.free();
      const prefix = ids.slice(0, position + 1);
      await session.measure(
        {
          name: "without",
          shape,
          work,
          call: async () => {
            const fresh = engine.sequence();
            await engine.prefill(fresh, prefix, () => {});
            fresh.free();
          },
        },
        ({ medianNs }) => ({
          msPerToken: significant(medianNs / 1e6),
          timesAsLong: significant(medianNs / cached.medianNs, 3),
        }),
      );
    }
  },
};

if (import.meta.main) await runSuites([kvCache]);
