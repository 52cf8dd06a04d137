// `cria generate`: continues a prompt.
import process from "node:process";
import type { Completion, GenerateOptions, Llama } from "../mod.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { command } from "./command.ts";
import { describeFlags, type FlagValues, helpFlag, switchFlag, textFlag } from "./flags/args.ts";
import { endFlags, maxTokensFlag, samplingFlags, samplingOf } from "./flags/sampling_flags.ts";
import { decodeText } from "./input/decode_text.ts";
import { findText, readInput, type TextInput, textFlags } from "./input/text_input.ts";
import { computeFlags, loadModel, modelFlags } from "./load_model.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { ClosedPipe, writeErr, writeOut } from "./terminal/output.ts";
import { OutputFile } from "./terminal/output_file.ts";
import { bold, canStyle } from "./terminal/terminal.ts";

/** No context holds a prompt of this size. */
const MAX_PROMPT_BYTES = 16 << 20;

const flags = {
  ...modelFlags,
  ...textFlags,
  special: switchFlag(
    "--special",
    "read special tokens such as <|im_start|> in the prompt; otherwise they are text",
  ),
  maxTokens: maxTokensFlag("until the context is full"),
  ...samplingFlags,
  ...endFlags,
  ...computeFlags,
  stats: switchFlag("--stats", "print a line of JSON with rates and sizes on standard error at the end"),
  statsFile: textFlag("--stats-file", "FILE", "write that line to a file", { isFile: true }),
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria generate [prompt] [flags]

Prints the prompt and its continuation by a language model. A prompt of "-" is read from standard input, and so is
a pipe or file there when no prompt is given: UTF-8 without its last line end and byte order mark. Without any
prompt the model begins from nothing. What follows "--" is never a flag.

Flags:
${describeFlags(flags)}
On a terminal the prompt is bold, unless NO_COLOR is set.
With --stats and no terminal, standard error carries that line alone, the model's warnings in it.

Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM.
A reader that closes standard output early ends the command with 0.
`;

/** `cria generate`: continues a prompt on standard output. */
export const generateCommand = command({
  name: "generate",
  summary: "continue a text",
  help,
  flags,
  async run({ values, operands }) {
    const input = findText("prompt", { operands, ...values });
    const { statsFile } = values;
    const stats = statsFile === undefined ? undefined : await OutputFile.check(statsFile);
    // Read before signals are caught: until here Ctrl-C simply ends the process.
    const prompt = await readPrompt(input);
    const signal = interruptSignal();
    const { llama, chosen } = await loadModel(values, signal, isStatsAlone(values));
    try {
      const completion = await print(llama, prompt, generateOptions(values, signal));
      const line = `${statsLine(llama, completion, chosen)}\n`;
      if (values.stats) await writeErr(line);
      await stats?.write(new TextEncoder().encode(line));
      return 0;
    } catch (error) {
      if (error instanceof ClosedPipe) return 0;
      throw error;
    } finally {
      llama.dispose();
    }
  },
});

async function readPrompt(input: TextInput): Promise<string> {
  if (input.from === "arguments") return input.text;
  if (input.from === "nowhere") return "";
  const { bytes, name } = await readInput(input, "prompt", MAX_PROMPT_BYTES);
  // Without the last line end, which editors and echo add.
  return decodeText(bytes, name).replace(/\r?\n$/, "");
}

/** Whether standard error is to hold the JSON of --stats and nothing else. */
function isStatsAlone({ stats = false }: Values): boolean {
  return stats && !process.stderr.isTTY;
}

/** The options of the library that flags stand for. */
export function generateOptions(
  values: Values,
  signal: AbortSignal,
): GenerateOptions & { readonly special?: boolean } {
  const { maxTokens, stop, ignoreEos, special } = values;
  return {
    ...samplingOf(values),
    maxTokens,
    stop,
    ignoreEos,
    logprobs: false,
    signal,
    ...(special && { special }),
  };
}

/**
 * Writes the prompt and each piece of its continuation as it comes. On a terminal a line end follows, even after an
 * error; a file or pipe gets the text and nothing else.
 */
async function print(llama: Llama, prompt: string, options: GenerateOptions): Promise<Completion> {
  const pieces = llama.generate(prompt, options);
  // The prompt is written with the first piece: a prompt that is refused leaves standard output empty.
  let next = await pieces.next();
  try {
    await writeOut(canStyle(process.stdout) ? bold(prompt) : prompt);
    while (!next.done) {
      await writeOut(next.value.text);
      next = await pieces.next();
    }
    return next.value;
  } finally {
    if (process.stdout.isTTY) await writeOut("\n");
  }
}

function statsLine(llama: Llama, { usage, timings }: Completion, chosen: string | undefined): string {
  const runtime = detectRuntime();
  const peak = runtime.peakRssBytes();
  return JSON.stringify({
    runtime: runtime.name,
    ...(chosen !== undefined && { model: chosen }),
    kernel: llama.kernel,
    threads: llama.threads,
    loadMs: round(timings.loadMs),
    promptTokens: usage.promptTokens,
    prefillTps: round(timings.prefillTps),
    generatedTokens: usage.generatedTokens,
    decodeTps: round(timings.decodeTps),
    peakRssMb: peak === undefined ? null : round(peak / 2 ** 20),
    ...(llama.warnings.length > 0 && { warnings: llama.warnings }),
  });
}

/** A number with one decimal. */
function round(value: number): number {
  return Math.round(value * 10) / 10;
}
