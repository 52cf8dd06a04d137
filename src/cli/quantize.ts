// `cria quantize`: writes a GGUF file of another type.
import process from "node:process";
import { quantizeTypes } from "../convert/file_kinds.ts";
import { type QuantizeType, quantize } from "../convert.ts";
import { inputModel } from "./chosen_model.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  describeFlags,
  type FlagValues,
  helpFlag,
  numberFlag,
  show,
  suggestion,
  switchFlag,
} from "./flags/args.ts";
import { withNameHint } from "./model_name.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { writeErr } from "./terminal/output.ts";
import { ProgressLine } from "./terminal/progress_line.ts";
import { writtenText } from "./terminal/written_text.ts";

const flags = {
  allowRequantize: switchFlag("--allow-requantize", "quantize anew what has fewer than 8 bits already"),
  threads: numberFlag(
    "--threads",
    "N",
    "threads that quantize (default: the cores)",
    { integer: true, min: 1, max: 1024 },
    { aliases: ["-t"] },
  ),
  help: helpFlag,
};

const help = `Usage: cria quantize [flags] IN OUT TYPE

Writes a GGUF model as one of another type. IN is a GGUF file, a URL, hf:owner/repo:TYPE or hf:owner/repo/FILE.gguf of F32,
F16, BF16 or Q8_0; if it is in several parts, any of them. OUT is written under a temporary name first: a file of that name is replaced by
all of the new one or not at all.

TYPE is one of ${quantizeTypes.join(", ")}.
Files of all types but F32, F16 and BF16 mix types as llama.cpp's do: matrices that matter more get more bits.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM, which leave no
file behind.
`;

/** `cria quantize`: writes a GGUF file of another type. */
export const quantizeCommand = command({
  name: "quantize",
  summary: "write a model as one of another type",
  help,
  flags,
  operands: "files",
  async run({ values, operands }) {
    const { input, output, type } = readOperands(operands);
    const signal = interruptSignal();
    const line = new ProgressLine(process.stderr, `quantizing ${input}`);
    try {
      const written = await quantize(await inputModel(input, signal), output, {
        ...options(values),
        type,
        onProgress: (progress) => line.update(progress),
        signal,
      });
      line.clear();
      await writeErr(writtenText(output, written));
      return 0;
    } catch (error) {
      throw await withNameHint(error, input);
    } finally {
      line.clear();
    }
  },
});

function options({ allowRequantize, threads }: FlagValues<typeof flags>) {
  return { allowRequantize, threads };
}

function readOperands(operands: readonly string[]): { input: string; output: string; type: QuantizeType } {
  const [input, output, given] = operands;
  if (input === undefined || output === undefined || given === undefined || operands.length > 3) {
    throw new ArgumentError(`Cannot quantize: Expected IN OUT TYPE, got ${operands.length} arguments`);
  }
  const type = quantizeTypes.find((name) => name === given.toUpperCase());
  if (type === undefined) {
    throw new ArgumentError(
      `Cannot quantize: Expected a type among ${quantizeTypes.join(", ")}, got ${show(given)}` +
        suggestion(given.toUpperCase(), quantizeTypes),
    );
  }
  return { input, output, type };
}
