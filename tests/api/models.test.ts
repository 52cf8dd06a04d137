// Real models against what other engines say of them.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { type Completion, Llama, type Precision } from "../../src/mod.ts";
import { itShared, sharedJson, sharedPath } from "../support/shared.ts";

interface Expected {
  cases: {
    prompt: string;
    prompt_ids: number[];
    greedy_ids: number[];
    greedy_text: string;
    ended_by_eos: boolean;
    top5: { id: number; logit: number }[];
  }[];
  nll: { text: string; window: number; tokens_scored: number; mean_nll: number };
}

const stories = "models/stories260K/";
const golden = "conformance/llama2c.json";

async function greedy200(model: string, tokenizer?: string): Promise<Completion> {
  await using llama = await Llama.load(sharedPath(model), {
    precision: "f32",
    ...(tokenizer && { tokenizer: sharedPath(tokenizer) }),
  });
  return await llama.complete("", { temperature: 0, maxTokens: 200 });
}

describe("stories260K", () => {
  const expected = () => sharedJson<{ greedy_200_steps: string }>(golden).greedy_200_steps;

  itShared(
    [`${stories}stories260K.bin`, `${stories}tok512.bin`, golden],
    "complete() gives llama2.c's greedy text from the .bin",
    async () => {
      const { text, ids } = await greedy200(`${stories}stories260K.bin`, `${stories}tok512.bin`);
      assert.equal(text, expected());
      assert.equal(ids.length, 200);
    },
  );

  itShared(
    [`${stories}stories260K-f32.gguf`, golden],
    "complete() gives llama2.c's greedy text from the GGUF",
    async () => {
      assert.equal((await greedy200(`${stories}stories260K-f32.gguf`)).text, expected());
    },
  );
});

describe("tales", () => {
  const f32File = "models/tales/tales-f32.gguf";
  const expectedFile = "models/tales/expected.json";

  itShared([f32File, expectedFile], "f32 gives PyTorch's ids, greedy ids and top-5 logits", async () => {
    const { cases } = sharedJson<Expected>(expectedFile);
    await using llama = await Llama.load(sharedPath(f32File), { precision: "f32" });
    assert.ok(cases.length >= 3);
    for (const c of cases) {
      const ids = llama.tokenizer.encode(c.prompt);
      assert.deepEqual(ids, c.prompt_ids, c.prompt);
      const logits = await llama.logits(ids);
      const top = [...logits.keys()]
        .sort((a, b) => (logits[b] as number) - (logits[a] as number))
        .slice(0, 5);
      assert.deepEqual(
        top,
        c.top5.map(({ id }) => id),
        c.prompt,
      );
      for (const { id, logit } of c.top5) {
        const error = Math.abs((logits[id] as number) - logit);
        assert.ok(error <= 2e-3, `${c.prompt}: logit ${id} is off by ${error}`);
      }
      const result = await llama.complete(c.prompt, { temperature: 0, maxTokens: 64 });
      assert.deepEqual(result.ids, c.greedy_ids, c.prompt);
      assert.equal(result.text, c.greedy_text);
      assert.equal(result.finishReason, c.ended_by_eos ? "eos" : "length");
    }
  });

  itShared(
    [f32File, "models/tales/tales-q8_0.gguf", expectedFile],
    "perplexity() of f32 is PyTorch's, of q8 within 0.5 % of it",
    async () => {
      const { nll } = sharedJson<Expected>(expectedFile);
      const measure = async (file: string, precision: Precision) => {
        await using llama = await Llama.load(sharedPath(file), { precision });
        const result = await llama.perplexity(nll.text, { window: nll.window });
        assert.equal(result.tokens, nll.tokens_scored);
        assert.ok(Math.abs(Math.log(result.perplexity) - result.nll) < 1e-12);
        const off = (100 * (result.nll - nll.mean_nll)) / nll.mean_nll;
        console.log(
          `tales ${precision} from ${file}: nll ${result.nll.toFixed(5)} (${off.toFixed(3)} % off)`,
        );
        return Math.abs(result.nll - nll.mean_nll);
      };
      assert.ok((await measure(f32File, "f32")) < 1e-4);
      assert.ok((await measure(f32File, "q8")) < 0.005 * nll.mean_nll);
      assert.ok((await measure("models/tales/tales-q8_0.gguf", "q8")) < 0.005 * nll.mean_nll);
      // No bound is promised for 4 bits; 3 % says that nothing is broken.
      assert.ok((await measure(f32File, "q4")) < 0.03 * nll.mean_nll);
    },
  );
});
