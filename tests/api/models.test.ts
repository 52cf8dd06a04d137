// Whole models against what a forward pass in f64 says of them, and other engines.
import assert from "node:assert/strict";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { Llama, type Precision } from "../../src/mod.ts";
import { fixtureJson, fixturePath, type ModelCase, type ModelFacts } from "../support/fixtures.ts";
import { embeddedModel, embeddedName } from "../support/models.ts";
import { itOn, type Subject, sharedJson, sharedPath } from "../support/shared.ts";

/** A model file and what is known of it. */
interface Known {
  readonly path: string;
  readonly tokenizer?: string;
  /** The same weights in Q8_0. */
  readonly rounded?: string;
  readonly facts: () => ModelFacts;
}

const llama2c = "conformance/llama2c.json";
const talesF32 = "models/tales/tales-f32.gguf";
const talesQ8 = "models/tales/tales-q8_0.gguf";
const talesFacts = "models/tales/expected.json";

const micro = ["gqa-f32.gguf", "mha-tied-f16.gguf", "gqa-q8_0.gguf", "mqa-q4_0.gguf", "odd-bf16.gguf"];
const bins = ["legacy.bin", "version2.bin"];

/** Models of random weights, in every tensor type, shape and format. */
const microModels = [...micro, ...bins].map((name): Subject<Known> => {
  const path = fixturePath(name);
  const facts = () => fixtureJson<Record<string, ModelFacts>>("models.json")[name] as ModelFacts;
  const tokenizer = bins.includes(name) ? { tokenizer: fixturePath("tiny.tokenizer.bin") } : {};
  return { name, value: { path, facts, ...tokenizer } };
});

/** The model of the repository by the f64 reference, and its weights before rounding by PyTorch. */
const tales: readonly Subject<Known>[] = [
  {
    name: embeddedName,
    value: { path: fileURLToPath(embeddedModel), facts: () => fixtureJson("tales.json") },
  },
  {
    name: talesF32,
    needs: [talesF32, talesQ8, talesFacts],
    value: {
      path: sharedPath(talesF32),
      rounded: sharedPath(talesQ8),
      facts: () => sharedJson(talesFacts),
    },
  },
];

async function load({ path, tokenizer }: Omit<Known, "facts">, precision: Precision): Promise<Llama> {
  return await Llama.load(path, { precision, ...(tokenizer && { tokenizer }) });
}

/** The five greatest logits after a prompt. */
async function assertTop5(llama: Llama, { prompt, prompt_ids, top5 }: ModelCase): Promise<void> {
  const logits = await llama.logits([...prompt_ids]);
  const top = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number)).slice(0, 5);
  assert.deepEqual(
    top,
    top5.map(({ id }) => id),
    prompt,
  );
  for (const { id, logit } of top5) {
    const error = Math.abs((logits[id] as number) - logit);
    assert.ok(error <= 2e-3, `${prompt}: logit ${id} is off by ${error}`);
  }
}

describe("Llama in f32", () => {
  itOn([...microModels, ...tales], "gives the ids, greedy ids and top-5 logits", async (known) => {
    const { cases } = known.facts();
    await using llama = await load(known, "f32");
    assert.ok(cases.length >= 3);
    for (const c of cases) {
      assert.deepEqual(llama.tokenizer.encode(c.prompt, { bos: true }), c.prompt_ids, c.prompt);
      await assertTop5(llama, c);
      const maxTokens = c.ended_by_eos ? 64 : c.greedy_ids.length;
      const result = await llama.complete(c.prompt, { temperature: 0, maxTokens });
      assert.deepEqual(result.ids, c.greedy_ids, c.prompt);
      assert.equal(result.text, c.greedy_text);
      assert.equal(result.finishReason, c.ended_by_eos ? "eos" : "length");
    }
  });

  itOn(microModels, "perplexity() is the reference's", async (known) => {
    const { nll } = known.facts();
    await using llama = await load(known, "f32");
    const result = await llama.perplexity(nll.text, { window: nll.window });
    assert.equal(result.tokens, nll.tokens_scored);
    assert.ok(Math.abs(result.nll - nll.mean_nll) < 1e-4, `${result.nll}, expected ${nll.mean_nll}`);
  });
});

describe("greedy text", () => {
  /** A model, the text that it makes of nothing, and of how many tokens that is. */
  interface Greedy extends Omit<Known, "facts"> {
    readonly expected: () => readonly [text: string, n: number];
  }

  const own = microModels
    .filter(({ name }) => name === "legacy.bin" || name === "gqa-f32.gguf")
    .map(({ name, value }): Subject<Greedy> => {
      const { greedy_text, greedy_ids } = value.facts().cases[0] as ModelCase;
      return { name, value: { ...value, expected: () => [greedy_text, greedy_ids.length] } };
    });
  const [bin, tok512, gguf] = ["stories260K.bin", "tok512.bin", "stories260K-f32.gguf"].map(
    (name) => `models/stories260K/${name}`,
  ) as [string, string, string];
  const expected = () => [sharedJson<{ greedy_200_steps: string }>(llama2c).greedy_200_steps, 200] as const;
  const ofLlama2c: Subject<Greedy>[] = [
    {
      name: "llama2.c's of stories260K.bin",
      needs: [bin, tok512, llama2c],
      value: { path: sharedPath(bin), tokenizer: sharedPath(tok512), expected },
    },
    {
      name: "llama2.c's of stories260K-f32.gguf",
      needs: [gguf, llama2c],
      value: { path: sharedPath(gguf), expected },
    },
  ];
  itOn([...own, ...ofLlama2c], "complete() gives it", async ({ expected, ...known }) => {
    const [text, n] = expected();
    await using llama = await load(known, "f32");
    const result = await llama.complete("", { temperature: 0, maxTokens: n });
    assert.equal(result.text, text);
    assert.equal(result.ids.length, n);
  });
});

describe("tales", () => {
  /** How far the mean likelihood of the text is from what is expected. */
  async function measure(
    path: string,
    precision: Precision | undefined,
    { nll }: ModelFacts,
  ): Promise<number> {
    await using llama = await Llama.load(path, { precision });
    const result = await llama.perplexity(nll.text, { window: nll.window });
    assert.equal(result.tokens, nll.tokens_scored);
    assert.ok(Math.abs(Math.log(result.perplexity) - result.nll) < 1e-12);
    const off = (100 * (result.nll - nll.mean_nll)) / nll.mean_nll;
    console.log(
      `tales ${precision ?? "as it is"} from ${path}: nll ${result.nll.toFixed(5)} (${off.toFixed(3)} % off)`,
    );
    return Math.abs(result.nll - nll.mean_nll);
  }

  itOn(
    tales,
    "perplexity() of f32 is as expected, of q8 and of the file's types within 0.5 % of it",
    async ({ path, rounded, facts }) => {
      const known = facts();
      const { mean_nll } = known.nll;
      assert.ok((await measure(path, "f32", known)) < 1e-4);
      assert.ok((await measure(path, "q8", known)) < 0.005 * mean_nll);
      assert.ok((await measure(path, undefined, known)) < 0.005 * mean_nll);
      // No bound is promised for 4 bits; 3 % says that nothing is broken.
      assert.ok((await measure(path, "q4", known)) < 0.03 * mean_nll);
      if (rounded !== undefined) assert.ok((await measure(rounded, "q8", known)) < 0.005 * mean_nll);
    },
  );
});
