// How many tokens a second one stream and eight streams have, beside the rate of a prompt and beside llama.cpp.
import { type GenerateOptions, Llama } from "../../src/mod.ts";
import { someIds } from "../models.ts";
import { median, significant } from "../report.ts";
import { Native } from "./native.ts";
import type { Effort, Row, ServedFile } from "./rows.ts";

const STREAMS = 8;
const PROMPT = 16;
const LONG_PROMPT = 128;
const CONTEXT = 512;

const greedy: GenerateOptions = { temperature: 0, ignoreEos: true };
// What people ask for: the default samplers.
const sampled: GenerateOptions = { seed: 1, ignoreEos: true };

/** Tokens a second of `n` generations at once, from when all have a token until one has ended. */
async function rateOf(llama: Llama, n: number, tokens: number, options: GenerateOptions): Promise<number> {
  const ids = someIds(PROMPT * n, llama.config.vocabSize);
  const all = await Promise.all(
    Array.from({ length: n }, async (_, i) => {
      const times: number[] = [];
      const prompt = ids.slice(PROMPT * i, PROMPT * (i + 1));
      const generation = llama.generate(prompt, { ...options, maxTokens: tokens, logprobs: false });
      for await (const _ of generation) times.push(performance.now());
      return times;
    }),
  );
  const begin = Math.max(...all.map(([first]) => first as number));
  const end = Math.min(...all.map((times) => times.at(-1) as number));
  const inside = all.flat().filter((time) => time > begin && time <= end).length;
  return (1000 * inside) / (end - begin);
}

async function promptRate(llama: Llama): Promise<number> {
  const ids = someIds(LONG_PROMPT, llama.config.vocabSize);
  const { timings } = await llama.complete(ids, { ...greedy, maxTokens: 1 });
  return timings.prefillTps;
}

interface Rates {
  readonly one: number[];
  readonly eight: number[];
  readonly sampled: number[];
  readonly prompt: number[];
  readonly nativeOne: number[];
  readonly nativeEight: number[];
  readonly nativePrompt: number[];
}

/** The rows of a model. All take turns, so that a machine that gets slower is slower for all. */
export async function streamRows(
  { name, file, native: asked, tokens }: ServedFile,
  effort: Effort,
): Promise<Row[]> {
  await using llama = await Llama.load(file, { contextLength: CONTEXT });
  const native = await nativeOf(asked, llama.threads);
  const rates: Rates = {
    ...{ one: [], eight: [], sampled: [], prompt: [] },
    ...{ nativeOne: [], nativeEight: [], nativePrompt: [] },
  };
  const n = Math.max(4, Math.round(tokens * effort.share));
  // The first round is not counted: threads are chosen, and code is compiled.
  for (let round = -1; round < effort.rounds; round++) {
    const note = (list: number[], rate: number) => round >= 0 && list.push(rate);
    note(rates.one, await rateOf(llama, 1, n, greedy));
    note(rates.eight, await rateOf(llama, STREAMS, n, greedy));
    note(rates.sampled, await rateOf(llama, STREAMS, n, sampled));
    note(rates.prompt, await promptRate(llama));
    if (!native) continue;
    const decode = { tokens: n, position: PROMPT };
    note(rates.nativeOne, 1000 / (await native.ms({ ...decode, streams: 1 })));
    note(rates.nativeEight, (1000 * STREAMS) / (await native.ms({ ...decode, streams: STREAMS })));
    note(rates.nativePrompt, (1000 * LONG_PROMPT) / (await native.ms({ prefill: LONG_PROMPT })));
  }
  native?.end();
  return rowsOf(name, rates, llama.threads, native?.release);
}

async function nativeOf(file: string | undefined, threads: number): Promise<Native | undefined> {
  if (file === undefined) return undefined;
  try {
    return await Native.load(file, threads, STREAMS, CONTEXT);
  } catch (error) {
    console.error(`left out: llama.cpp: ${(error as Error).message}`);
    return undefined;
  }
}

function rowsOf(model: string, rates: Rates, threads: number, release: string | undefined): Row[] {
  const of = (list: readonly number[]) => median(list);
  const perS = (what: string, list: readonly number[]): Row => ({
    model,
    what,
    value: significant(of(list)),
    unit: "tokens/s",
    samples: list.length,
  });
  const ratio = (what: string, a: readonly number[], b: readonly number[], wanted?: string): Row => ({
    model,
    what,
    value: significant(of(a) / of(b), 3),
    unit: "ratio",
    samples: a.length,
    ...(wanted !== undefined && { asked: wanted }),
  });
  const rows = [
    perS(`one stream, ${threads} threads`, rates.one),
    perS("8 streams", rates.eight),
    perS("8 streams, sampled", rates.sampled),
    perS("prompt of 128 tokens", rates.prompt),
    ratio(
      "8 streams / one stream",
      rates.eight,
      rates.one,
      ">= 3 (or >= 0.75 of the prompt's rate); tales >= 2",
    ),
    ratio("8 streams / prompt", rates.eight, rates.prompt, ">= 0.75 (or >= 3 streams)"),
    ratio("8 streams, sampled / greedy", rates.sampled, rates.eight),
  ];
  if (!release) return rows;
  return [
    ...rows,
    perS(`llama.cpp ${release}, one stream`, rates.nativeOne),
    perS(`llama.cpp ${release}, 8 streams`, rates.nativeEight),
    perS(`llama.cpp ${release}, prompt of 128 tokens`, rates.nativePrompt),
    ratio("8 streams / llama.cpp", rates.eight, rates.nativeEight, ">= 0.8"),
    ratio("one stream / llama.cpp", rates.one, rates.nativeOne),
  ];
}
