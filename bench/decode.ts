// Whole models end to end: tokens per second, and the share of the read bandwidth that decoding uses.
import { basename } from "node:path";
import { Llama } from "../src/mod.ts";
import type { Precision } from "../src/model/config.ts";
import { embeddedModel, greedyDecoder, loadEngine, matrixWork, someIds } from "./models.ts";
import { median, significant } from "./report.ts";
import { sharedPath } from "./shared.ts";
import { runSuites, type Session, type Suite } from "./suite.ts";
import { synthModel, synthTypes } from "./synth.ts";

interface Model {
  readonly name: string;
  readonly file: URL | string;
  readonly precision?: Precision;
  /** Positions before the first decoded token. */
  readonly position: number;
  /** Tokens of a sample. */
  readonly tokens: number;
  /** Tokens per second of llama2.c's `run` (-Ofast, one thread) on the machine where it was recorded. */
  readonly llama2c?: number;
}

const CONTEXT = 512;
const PROMPT_TOKENS = 128;
const SMALL_LOADS = 3;
const LARGE_BYTES = 256 << 20;

const tales: readonly Model[] = [
  { name: "tales q8", file: embeddedModel, precision: "q8", position: 16, tokens: 64 },
  { name: "tales embedded", file: embeddedModel, position: 16, tokens: 64 },
  { name: "tales f32", file: embeddedModel, precision: "f32", position: 16, tokens: 64 },
];

function stories(session: Session): Model[] {
  const file = sharedPath("models/stories260K/stories260K-f32.gguf");
  if (!file) session.skip("stories260K", "../shared/models is absent");
  const rest = { precision: "f32", position: 0, tokens: 200, llama2c: 14_200 } as const;
  return file ? [{ name: "stories260K f32", file, ...rest }] : [];
}

function large(session: Session): Model[] {
  if (session.options.small) {
    session.skip("TinyLlama-1.1B shape", "--small");
    return [];
  }
  return synthTypes.flatMap((type) => {
    const model = synthModel(type);
    const name = `1.1B shape ${type}`;
    if ("missing" in model) {
      session.skip(name, model.missing);
      return [];
    }
    return [{ name, file: model.path, position: 16, tokens: 4 }];
  });
}

async function measureEngine(session: Session, model: Model): Promise<void> {
  const { name, file, position, tokens, llama2c } = model;
  const { kernel } = session.options;
  const options = { kernel, precision: model.precision, contextLength: CONTEXT };
  const { engine, loadMs } = await loadEngine(file, options);
  const loads = [loadMs];
  if (engine.layout.totalBytes < LARGE_BYTES) {
    while (loads.length < SMALL_LOADS) loads.push((await loadEngine(file, options)).loadMs);
  }
  const { layerBytes, layerMacs, outputBytes, outputMacs } = matrixWork(engine.layout.weights);
  const ids = someIds(PROMPT_TOKENS, engine.layout.config.vocabSize);
  const sequence = engine.sequence();
  if (position > 0) await engine.prefill(sequence, ids.slice(0, position), () => {});
  const item = {
    name: `${name} decode`,
    shape: `${tokens} tokens from position ${position}`,
    work: {
      bytes: tokens * (layerBytes + outputBytes),
      macs: tokens * (layerMacs + outputMacs),
      tokens,
    },
    call: greedyDecoder(engine, sequence, ids, tokens),
  };
  const weightMb = significant((layerBytes + outputBytes) / 1e6);
  const extra = { weightMb, loadMs: significant(median(loads), 3) };
  await session.measure(item, ({ medianNs }) => ({ ...extra, ...ratio(tokens, medianNs, llama2c) }));
  sequence.free();
  await session.measure({
    name: `${name} prefill`,
    shape: `${PROMPT_TOKENS} tokens`,
    work: { macs: PROMPT_TOKENS * layerMacs + outputMacs, tokens: PROMPT_TOKENS },
    call: async () => {
      const prompt = engine.sequence();
      await engine.prefill(prompt, ids, () => {});
      prompt.free();
    },
  });
}

function ratio(tokens: number, ns: number, llama2c: number | undefined): { vsLlama2c?: number } {
  return llama2c === undefined ? {} : { vsLlama2c: significant((1e9 * tokens) / ns / llama2c, 3) };
}

// The public API: prompt, sampler and text included.
async function measureComplete(session: Session, model: Model): Promise<void> {
  const { name, file, tokens, precision, llama2c } = model;
  const { kernel } = session.options;
  await using llama = await Llama.load(file, {
    kernel,
    contextLength: CONTEXT,
    ...(precision ? { precision } : {}),
  });
  await session.measure(
    {
      name: `${name} complete()`,
      shape: `${tokens} tokens from BOS`,
      work: { tokens },
      call: () => llama.complete("", { maxTokens: tokens, temperature: 0, ignoreEos: true }),
    },
    ({ medianNs }) => ratio(tokens, medianNs, llama2c),
  );
}

export const decode: Suite = {
  name: "decode",
  about:
    "decode: greedy, one token in a step, the engine without tokenizer and sampler; bytes are the weight tiles that a " +
    `token reads (layers and output). prefill: ${PROMPT_TOKENS} tokens from an empty cache, with logits of the last; ` +
    "GMAC/s are those of the matrices. complete(): the public API from BOS, text included. loadMs: time to read and pack " +
    "the file from the operating system's cache. vsLlama2c: tokens/s ÷ 14200, which llama2.c's run (-Ofast, one thread) " +
    "reached on a two-core x86-64 server with AVX-512.",
  async run(session) {
    const own = session.options.models.map((file) => ({
      name: basename(file),
      file,
      position: 16,
      tokens: 4,
    }));
    if (own.length > 0) {
      for (const model of own) await measureEngine(session, model);
      return;
    }
    for (const model of [...tales, ...stories(session)]) {
      await measureEngine(session, model);
      await measureComplete(session, model);
    }
    for (const model of large(session)) await measureEngine(session, model);
  },
};

if (import.meta.main) await runSuites([decode]);
