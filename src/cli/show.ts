// `cria show`: what a model file is.
import process from "node:process";
import { type Inspection, inspectModel } from "../api/inspect.ts";
import { chooseModel } from "./chosen_model.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  describeFlags,
  type FlagValues,
  helpFlag,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { nameFlags } from "./flags/flag_names.ts";
import { memoryFlags, ropeScalingOf } from "./load_model.ts";
import { withNameHint } from "./model_name.ts";
import { inspectionJson } from "./show_json.ts";
import { inspectionText } from "./show_text.ts";
import { interruptSignal } from "./terminal/interrupt.ts";
import { writeOut } from "./terminal/output.ts";
import { StatusLine } from "./terminal/status_line.ts";

const flags = {
  model: textFlag("--model", "FILE|URL", "the model, as the operand is", { aliases: ["-m"], isFile: true }),
  template: switchFlag("--template", "print the chat template too"),
  tensors: switchFlag("--tensors", "list every tensor: name, shape, type, bytes"),
  metadata: switchFlag("--metadata", "list every key of the header; of long arrays the first values"),
  json: switchFlag("--json", "print an object of JSON"),
  ...memoryFlags,
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria show FILE [flags]

Prints what a model file is: architecture, sizes, types of tensors, hyper-parameters, tokenizer; and whether cria loads
it, with how much memory at the context it would have and at the model's full one, or why it does not. FILE is a GGUF or
llama2.c model, its URL, hf:owner/repo/file.gguf or hf:owner/repo:Q4_K_M. Of a URL only the header is fetched, and
nothing is cached; what cria pull has kept is read without a network. Control characters in the file's texts are printed as \\x1b and the like.

Flags:
${describeFlags(flags)}
Exit status: 0, also for a model that is not loaded; 1 for a file that cannot be read; 2 for wrong usage; 130 and 143
when ended by Ctrl-C and SIGTERM. A reader that closes standard output early ends the command with 0.
`;

/** `cria show`: describes a model file. */
export const showCommand = command({
  name: "show",
  summary: "say what a model file is, and whether it loads",
  help,
  flags,
  operands: "files",
  async run({ values, operands, args }) {
    const names = [...operands, ...(values.model === undefined ? [] : [values.model])];
    const [name] = names;
    if (name === undefined || names.length > 1) {
      throw new ArgumentError(`Cannot show a model: Expected one FILE, got ${names.length || "none"}`);
    }
    const inspection = await inspect(name, values);
    const rename = (message: string) => nameFlags(message, flags, args);
    await writeOut(
      values.json ? inspectionJson(inspection, values) : inspectionText(inspection, values, rename),
    );
    return 0;
  },
});

async function inspect(name: string, values: Values): Promise<Inspection> {
  const { contextLength, gelu, precision, kv, memory } = values;
  const ropeScaling = ropeScalingOf(values);
  const line = new StatusLine(process.stderr, { title: `loading the header of ${name}` });
  try {
    const signal = interruptSignal();
    const chosen = await chooseModel(name, { maxBytes: memory, signal, fromCache: true });
    const layout = { contextLength, ropeScaling, gelu, precision, kv, maxBytes: memory };
    return await inspectModel(chosen?.name ?? name, { signal }, layout);
  } catch (error) {
    throw await withNameHint(error, name);
  } finally {
    line.clear();
  }
}
