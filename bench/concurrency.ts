// What joined steps are for: generations that ask at once, beside the same ones that take turns.
import { type GenerateOptions, Llama, type Precision } from "../src/mod.ts";
import { embeddedModel, someIds } from "./models.ts";
import { significant } from "./report.ts";
import { runSuites, type Session, type Suite } from "./suite.ts";
import { synthModel, synthTypes } from "./synth.ts";

const CONTEXT = 512;
const PROMPT_TOKENS = 4;

interface Model {
  readonly name: string;
  readonly file: URL | string;
  /** Default: as the file has them. */
  readonly precision?: Precision;
  /** Tokens of each generation in a sample. */
  readonly tokens: number;
  /** How many generations there are. */
  readonly generations: readonly number[];
}

function models(session: Session): Model[] {
  const tales: Model = {
    name: "tales q8",
    file: embeddedModel,
    precision: "q8",
    tokens: 64,
    generations: [2, 4, 8],
  };
  if (session.options.small) {
    session.skip("TinyLlama-1.1B shape", "--small");
    return [tales];
  }
  const large = synthTypes.flatMap((type) => {
    const model = synthModel(type);
    const name = `1.1B shape ${type}`;
    if ("path" in model) return [{ name, file: model.path, tokens: 4, generations: [4] }];
    session.skip(name, model.missing);
    return [];
  });
  return [tales, ...large];
}

async function measureModel(
  session: Session,
  { name, file, precision, tokens, generations }: Model,
): Promise<void> {
  const { kernel } = session.options;
  await using llama = await Llama.load(file, { kernel, precision, contextLength: CONTEXT, threads: 1 });
  const options: GenerateOptions = { temperature: 0, ignoreEos: true, maxTokens: tokens };
  const ids = someIds(PROMPT_TOKENS * Math.max(...generations), llama.config.vocabSize);
  const complete = (i: number) =>
    llama.complete(ids.slice(PROMPT_TOKENS * i, PROMPT_TOKENS * (i + 1)), options);
  for (const n of generations) {
    const indices = Array.from({ length: n }, (_, i) => i);
    const shape = `${n} generations of ${tokens} tokens`;
    const work = { tokens: n * tokens };
    const turns = await session.measure({
      name: `${name}, in turns`,
      shape,
      work,
      call: async () => {
        for (const i of indices) await complete(i);
      },
    });
    await session.measure(
      { name: `${name}, at once`, shape, work, call: () => Promise.all(indices.map(complete)) },
      ({ medianNs, minNs }) => ({
        timesTheTokens: significant(turns.medianNs / medianNs, 3),
        timesTheTokensAtBest: significant(turns.minNs / minNs, 3),
      }),
    );
  }
}

export const concurrency: Suite = {
  name: "concurrency",
  about:
    "llama.complete(), greedy: several generations with prompts of four ids, one after the other (each token is a step " +
    "of its own) and at once (their tokens share steps). timesTheTokens: tokens a second at once over tokens a second " +
    "in turns, of medians; timesTheTokensAtBest of the fastest samples.",
  async run(session) {
    for (const model of models(session)) await measureModel(session, model);
  },
};

if (import.meta.main) await runSuites([concurrency]);
