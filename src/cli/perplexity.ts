// `cria perplexity`: how well a model predicts a text.
import process from "node:process";
import type { Llama, Perplexity } from "../mod.ts";
import { SourceError } from "../util/errors.ts";
import { command } from "./command.ts";
import { describeFlags, type FlagValues, helpFlag, numberFlag, switchFlag } from "./flags/args.ts";
import { findFile, readText, textFlags } from "./input/text_input.ts";
import { computeFlags, count, loadModel, modelFlags } from "./load_model.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { writeOut } from "./terminal/output.ts";
import { timeText } from "./terminal/progress_line.ts";
import { StatusLine } from "./terminal/status_line.ts";

const flags = {
  ...modelFlags,
  ...textFlags,
  window: numberFlag("--window", "N", "tokens that are scored from one empty cache (default: the context)", {
    ...count,
    min: 1,
  }),
  special: switchFlag("--special", "read special tokens such as <s> in the text; otherwise they are text"),
  ...computeFlags,
  json: switchFlag("--json", "print an object of JSON"),
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria perplexity [file] [flags]

Prints how well a model predicts a text: the mean negative log-likelihood of a token in nats ("nll"), e to the power of
that ("perplexity"), and how many tokens were scored. The text is a file; without one, or with "-", it is standard
input, to its end. It is read as it is, but without a byte order mark; bytes that are not UTF-8 count as U+FFFD.

The text begins with BOS if the tokenizer adds one. It is scored in windows: each begins with an empty cache at the
last token of the one before. Every token is scored but the first. Results compare only with the same --window.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM.
A reader that closes standard output early ends the command with 0.
`;

/** `cria perplexity`: scores a text. */
export const perplexityCommand = command({
  name: "perplexity",
  summary: "score a text: nll and perplexity",
  help,
  flags,
  operands: "files",
  async run({ values, operands }) {
    const input = findFile("text", { operands, ...values });
    // Read before signals are caught: until here Ctrl-C simply ends the process.
    const text = await readText(input).catch((error) => {
      throw withTextHint(error, operands);
    });
    const signal = interruptSignal();
    const { llama } = await loadModel(values, signal, false);
    try {
      await writeOut(format(await score(llama, text, values, signal), values));
      return 0;
    } finally {
      llama.dispose();
    }
  },
});

/** A shorter time says nothing of a rate. */
const MIN_MEASURED_MS = 250;

/** A text in the place of a file's name. */
function withTextHint(error: unknown, [name]: readonly string[]): unknown {
  if (!(error instanceof SourceError) || error.message !== `Cannot open ${name}: no such file`) return error;
  return new SourceError(`${error.message}; a text itself is given with --prompt`, { cause: error.cause });
}

async function score(llama: Llama, text: string, values: Values, signal: AbortSignal): Promise<Perplexity> {
  const line = new StatusLine(process.stderr, { title: "scoring" });
  let first: { readonly ms: number; readonly scored: number } | undefined;
  const onProgress = ({ scored, tokens }: { readonly scored: number; readonly tokens: number }) => {
    const ms = performance.now();
    first ??= { ms, scored };
    const details = [`of ${tokens} tokens`];
    if (ms - first.ms >= MIN_MEASURED_MS) {
      const perMs = (scored - first.scored) / (ms - first.ms);
      details.push(`${Math.round(1000 * perMs)} tokens/s`, timeText((tokens - scored) / perMs) ?? "");
    }
    line.update({
      title: "scoring",
      fraction: scored / tokens,
      details: details.filter((text) => text !== ""),
    });
  };
  try {
    const { window, special } = values;
    return await llama.perplexity(text, { window, special, onProgress, signal });
  } finally {
    line.clear();
  }
}

function format({ nll, perplexity, tokens }: Perplexity, { json }: Values): string {
  if (json) return `${JSON.stringify({ nll, perplexity, tokens })}\n`;
  return `nll         ${nll.toFixed(6)}\nperplexity  ${perplexity.toFixed(6)}\ntokens      ${tokens}\n`;
}
