// Whatever is computed beside it, an answer has the bits of a lone run: a small part of `bun run bench/sameness.ts`.
import { after, describe, it } from "node:test";
import { Llama } from "../../src/mod.ts";
import { LocalModel } from "../../src/server/local_model.ts";
import { checkMixed, eventsAlone, mixedRequests } from "../support/mixed_requests.ts";
import { embeddedModel } from "../support/models.ts";

const options = { threads: 1, contextLength: 256 };
const llama = await Llama.load(embeddedModel, options);
after(() => llama.dispose());
const requests = mixedRequests(60, 1, llama.config.vocabSize);
const expected: Awaited<ReturnType<typeof eventsAlone>>[] = [];
for (const { job } of requests) expected.push(await eventsAlone(llama, job));

describe("mixed requests", () => {
  for (const [what, prefixCache] of [
    ["", undefined],
    [" with a prefix cache", 8 << 20],
    // Less than one sequence has.
    [" with a small prefix cache", 100_000],
  ] as const) {
    it(`answer as if alone${what}, 8 and 64 at once`, async () => {
      const model = await Llama.load(embeddedModel, { ...options, ...(prefixCache && { prefixCache }) });
      const served = new LocalModel(model, { id: "tales" });
      for (const atOnce of [8, 64]) await checkMixed(served, requests, expected, { atOnce, seed: atOnce });
      await served.close();
    });
  }
});
