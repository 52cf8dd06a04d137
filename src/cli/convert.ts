// `cria convert`: writes a GGUF file of a folder of safetensors, or one with fewer heads.
import process from "node:process";
import { quantizeTypes } from "../convert/file_kinds.ts";
import { convert } from "../convert.ts";
import { inputModel } from "./chosen_model.ts";
import { command } from "./command.ts";
import { ArgumentError, describeFlags, helpFlag, numberFlag, parsedFlag, switchFlag } from "./flags/args.ts";
import { withNameHint } from "./model_name.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { writeErr } from "./terminal/output.ts";
import { ProgressLine } from "./terminal/progress_line.ts";
import { writtenText } from "./terminal/written_text.ts";

const flags = {
  type: parsedFlag("--type", "T", "type of the file (default: each tensor keeps its own)", {
    expected: `one of ${quantizeTypes.join(", ")}`,
    names: quantizeTypes,
    parse: (text) => quantizeTypes.find((name) => name === text.toUpperCase()),
  }),
  kvHeads: numberFlag("--kv-heads", "N", "heads of keys and values, each the mean of some of the model's", {
    integer: true,
    min: 1,
    max: 65536,
  }),
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

const help = `Usage: cria convert [flags] DIR OUT

Writes a GGUF file of a model. DIR is a folder of safetensors with config.json and a tokenizer, hf:owner/repo[:TYPE], or a
GGUF file. OUT is written under a temporary name first: a file of that name is replaced by all of the new one or not at all.

With --kv-heads, heads of keys and values become fewer (MHA becomes GQA or MQA), which makes the cache smaller. The model
must be trained on afterwards: without that it loses much.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM, which leave no
file behind.
`;

/** `cria convert`: writes a GGUF file of a folder of safetensors. */
export const convertCommand = command({
  name: "convert",
  summary: "write a GGUF file of a folder of safetensors",
  help,
  flags,
  operands: "files",
  async run({ values, operands }) {
    const [input, output] = operands;
    if (input === undefined || output === undefined || operands.length > 2) {
      throw new ArgumentError(`Cannot convert: Expected DIR OUT, got ${operands.length} arguments`);
    }
    const { type, kvHeads, allowRequantize, threads } = values;
    const signal = interruptSignal();
    const line = new ProgressLine(process.stderr, `converting ${input}`);
    try {
      const written = await convert(await inputModel(input, signal), output, {
        ...{ type, kvHeads, allowRequantize, threads, signal },
        onProgress: (progress) => line.update(progress),
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
