// `cria pull`: downloads a model into the cache.
import process from "node:process";
import { pull } from "../models.ts";
import { sizeText } from "../util/bytes.ts";
import { command, oneModel } from "./command.ts";
import { bytesFlag, describeFlags, helpFlag, oneLine, show, textFlag } from "./flags/args.ts";
import { withNameHint } from "./model_name.ts";
import { Interrupted, interruptSignal } from "./terminal/interrupt.ts";
import { writeErr, writeOut } from "./terminal/output.ts";
import { ProgressLine } from "./terminal/progress_line.ts";

const flags = {
  memory: bytesFlag("--memory", "choose a model that needs no more: 512M, 2G, ... (default: the machine's)", {
    option: "maxBytes",
  }),
  sha256: textFlag("--sha256", "HEX", "refuse a file whose SHA-256 is another"),
  help: helpFlag,
};

const help = `Usage: cria pull NAME [flags]

Downloads a model and keeps it, so that cria generate --model NAME needs no network. NAME is one of
  hf:owner/repo:Q4_K_M       the GGUF file of that type in a repository of the Hugging Face hub
  hf:owner/repo              the best one that fits memory: Q4_K_M, else the largest of at most 8 bits; else the
                             safetensors model of the repository
  hf:owner/repo/file.gguf    that file; each with hf:owner/repo@revision for a branch, tag or commit
  https://...                a file, or the folder of a safetensors model if it ends with "/"
All parts of a split file come along. A download that broke, or was stopped, goes on where it ended.
Prints the name that --model takes. HF_TOKEN is the token of private and gated models, HF_ENDPOINT another hub.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM.
`;

/** `cria pull`: downloads a model. */
export const pullCommand = command({
  name: "pull",
  summary: "download a model and keep it",
  help,
  flags,
  async run({ values, operands }) {
    const name = oneModel("pull", operands);
    const line = new ProgressLine(process.stderr, `pulling ${name.split(/[\\/](?!$)/).at(-1)}`);
    const signal = interruptSignal();
    try {
      const { name: pulled } = await pull(name, {
        sha256: values.sha256,
        maxBytes: values.memory,
        onChoice: (chosen) =>
          void writeErr(oneLine(`model: ${chosen.name} (${sizeText(chosen.size)})`).concat("\n")),
        onProgress: (progress) => line.update(progress),
        signal,
      });
      line.clear();
      await writeOut(`${oneLine(pulled)}\n`);
      return 0;
    } catch (error) {
      line.clear();
      if (error instanceof Interrupted) {
        await writeErr(`stopped; cria pull ${show(name)} goes on where it ended\n`);
      }
      throw await withNameHint(error, name);
    } finally {
      line.clear();
    }
  },
});
