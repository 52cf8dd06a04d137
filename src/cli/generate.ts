import process from "node:process";
import { type Completion, type GenerateOptions, Llama, type SamplingOptions } from "../mod.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { samplingParams } from "../sample/registry.ts";
import {
  ArgumentError,
  bytesFlag,
  choiceFlag,
  describeFlags,
  type Flag,
  type FlagValues,
  listFlag,
  numberFlag,
  parseArgs,
  switchFlag,
  textFlag,
} from "./args.ts";
import type { Command } from "./command.ts";
import { variable } from "./environment.ts";
import { interruptSignal } from "./interrupt.ts";
import { ClosedPipe, writeErr, writeOut } from "./output.ts";
import { ProgressLine } from "./progress.ts";
import { readStdin } from "./stdin.ts";

const count = { integer: true, max: Number.MAX_SAFE_INTEGER };

// One flag for each parameter that a sampler has.
const samplingFlags = Object.fromEntries(
  samplingParams.map((param) => {
    const help = `${param.help} (default: ${param.default ?? "random"})`;
    return [param.key, numberFlag(param.flag, param.valueName, help, param)];
  }),
) as { readonly [K in keyof Required<SamplingOptions>]: Flag<number> };

const flags = {
  model: textFlag(
    "--model",
    "FILE|URL",
    "GGUF or llama2.c model, or hf:owner/repo/file.gguf (default: the one that comes with cria)",
  ),
  sha256: textFlag("--sha256", "HEX", "refuse a model whose SHA-256 is another"),
  noCache: switchFlag("--no-cache", "do not keep what is downloaded for the next time"),
  tokenizer: textFlag("--tokenizer", "FILE", "tokenizer, for models that carry none (llama2.c)"),
  maxTokens: numberFlag("--max-tokens", "N", "most tokens to generate (default: until the context is full)", {
    ...count,
    min: 0,
  }),
  ...samplingFlags,
  stop: listFlag("--stop", "TEXT", "text that ends the generation; may be given several times"),
  ignoreEos: switchFlag("--ignore-eos", "go on after an end-of-text token"),
  threads: numberFlag("--threads", "N", "threads that compute", { ...count, min: 1 }),
  contextLength: numberFlag(
    "--context",
    "N",
    "tokens of prompt and text (default: the model's, at most 4096)",
    {
      ...count,
      min: 1,
    },
  ),
  precision: choiceFlag(
    "--precision",
    ["f32", "q8", "q4"],
    "weights in memory (default: as the file has them)",
  ),
  kv: choiceFlag(
    "--kv",
    ["f32", "f16", "q8"],
    "keys and values in memory (default: f16, or f32 with f32 weights)",
  ),
  memory: bytesFlag("--memory", "refuse a model that needs more: 512M, 2G, ..."),
  stats: switchFlag("--stats", "print a line of JSON with rates and sizes on standard error at the end"),
  help: switchFlag("--help", "print this", "-h"),
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria generate [prompt] [flags]

Prints the prompt and its continuation by a language model. A prompt of "-" is read from standard input;
without a prompt the model begins from nothing. What follows "--" is never a flag.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM.
A reader that closes standard output early ends the command with 0.
`;

/** `cria generate`: continues a prompt on standard output. */
export const generateCommand: Command = {
  name: "generate",
  summary: "continue a text",
  async run(args) {
    const { values, operands } = parseArgs(args, flags);
    if (values.help) {
      await writeOut(help);
      return 0;
    }
    if (operands.length > 1) {
      throw new ArgumentError(`Expected one prompt, got ${operands.length}; quote it`);
    }
    const [operand = ""] = operands;
    // Read before signals are caught: until here Ctrl-C simply ends the process.
    const prompt = operand === "-" ? await readStdin() : operand;
    const signal = interruptSignal();
    const llama = await load(values, signal);
    try {
      for (const warning of llama.warnings) await writeErr(`warning: ${warning}\n`);
      const completion = await print(llama, prompt, generateOptions(values, signal));
      if (values.stats) await writeErr(`${statsLine(llama, completion)}\n`);
      return 0;
    } catch (error) {
      if (error instanceof ClosedPipe) return 0;
      throw error;
    } finally {
      llama.dispose();
    }
  },
};

async function load(values: Values, signal: AbortSignal): Promise<Llama> {
  const { model, tokenizer, sha256, noCache = false, threads, contextLength, precision, kv, memory } = values;
  const line = new ProgressLine(
    process.stderr,
    `loading ${model?.split(/[\\/]/).at(-1) ?? "the embedded model"}`,
  );
  try {
    return await Llama.load(model, {
      tokenizer,
      sha256,
      cache: !noCache,
      http: { headers: hubHeaders(model) },
      threads,
      contextLength,
      precision,
      kv,
      maxBytes: memory,
      onProgress: (progress) => line.update(progress),
      signal,
    });
  } finally {
    line.clear();
  }
}

/** The token of private and gated models; it is sent to the hub only. */
function hubHeaders(model = ""): Record<string, string> {
  const token = /^hf:/i.test(model) ? variable("HF_TOKEN") : undefined;
  return token ? { authorization: `Bearer ${token}` } : {};
}

function generateOptions(values: Values, signal: AbortSignal): GenerateOptions {
  const { maxTokens, stop, ignoreEos } = values;
  const sampling = Object.fromEntries(
    Object.keys(samplingFlags).map((key) => [key, values[key as keyof Values]]),
  );
  return { ...sampling, maxTokens, stop, ignoreEos, logprobs: false, signal };
}

/**
 * Writes the prompt and each piece of its continuation as it comes. On a terminal a line end follows, whatever
 * happens; a file or pipe gets the text and nothing else.
 */
async function print(llama: Llama, prompt: string, options: GenerateOptions): Promise<Completion> {
  const pieces = llama.generate(prompt, options);
  // The prompt goes out with the first piece: a prompt that is refused leaves standard output empty.
  let next = await pieces.next();
  try {
    await writeOut(prompt);
    while (!next.done) {
      await writeOut(next.value.text);
      next = await pieces.next();
    }
    return next.value;
  } finally {
    if (process.stdout.isTTY) await writeOut("\n");
  }
}

function statsLine(llama: Llama, { usage, timings }: Completion): string {
  const runtime = detectRuntime();
  const peak = runtime.peakRssBytes();
  return JSON.stringify({
    runtime: runtime.name,
    kernel: llama.kernel,
    threads: llama.threads,
    loadMs: round(timings.loadMs),
    promptTokens: usage.promptTokens,
    prefillTps: round(timings.prefillTps),
    generatedTokens: usage.generatedTokens,
    decodeTps: round(timings.decodeTps),
    peakRssMb: peak === undefined ? null : round(peak / 2 ** 20),
  });
}

/** To one decimal. */
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
