// `cria chat`: talks with a model.
import process from "node:process";
import type { SendOptions, Tool } from "../mod.ts";
import { CHAT_MODEL } from "../package.ts";
import { UnsupportedError } from "../util/errors.ts";
import { chatInPipe } from "./chat/piped_chat.ts";
import { type ChatStart, commandsHelp, TerminalChat } from "./chat/terminal_chat.ts";
import { readJson } from "./chat/transcript.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  describeFlags,
  type FlagValues,
  helpFlag,
  oneLine,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { nameFlags } from "./flags/flag_names.ts";
import { endFlags, maxTokensFlag, samplingFlags, samplingOf } from "./flags/sampling_flags.ts";
import { computeFlags, loadModel, modelFlags, templateFlags } from "./load_model.ts";
import { interruptSignal } from "./terminal/interrupt.ts";

const flags = {
  ...modelFlags,
  system: textFlag("--system", "TEXT", "who the model is to be and what it is to do"),
  ...templateFlags,
  tools: textFlag(
    "--tools",
    "FILE",
    "tools that the model may call, as JSON; its calls are shown, not made",
    {
      isFile: true,
    },
  ),
  maxTokens: maxTokensFlag("220 of tales-chat, of others until the context is full"),
  ...samplingFlags,
  ...endFlags,
  ...computeFlags,
  stats: switchFlag("--stats", "print tokens and speed after each answer, on standard error"),
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria chat [flags]

Talks with a model by its chat template. Without --model that is tales-chat, a toy that comes with cria and tells short stories.
When the context is full, the oldest turns are left out, and a line says so.

On a terminal:
${commandsHelp}
In a pipe each line is a message, and standard output gets its answer and nothing else:
  echo "Tell me a story about a cat." | cria chat

Flags:
${describeFlags(flags)}
On a terminal the prompt is bold and what a model thinks is dim, unless NO_COLOR is set.

Exit status: 0; 1 for a failure; 2 for wrong usage; 130 and 143 when ended by Ctrl-C and SIGTERM.
`;

/** Models that talk, small and medium, for those whose model does not. */
const talkers = [
  "hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0",
  "hf:bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
];

/** `cria chat`: talks with a model on a terminal, or in a pipe. */
export const chatCommand = command({
  name: "chat",
  summary: "talk with a model",
  help,
  flags,
  async run({ values, operands, args }) {
    if (operands.length > 0) {
      throw new ArgumentError(
        'Expected flags only; a single message goes through a pipe: echo "TEXT" | cria chat',
      );
    }
    const tools =
      values.tools === undefined ? undefined : ((await readJson(values.tools)) as readonly Tool[]);
    const signal = interruptSignal();
    const { llama } = await loadModel(values, signal, false, CHAT_MODEL);
    try {
      if (llama.template.source === undefined) throw noTemplate();
      const start: ChatStart = {
        llama,
        chat: { ...(values.system !== undefined && { system: values.system }), ...(tools && { tools }) },
        send: sendOptions(values),
        showsStats: values.stats ?? false,
        rename: (message) => nameFlags(message, flags, args),
      };
      if (!process.stdin.isTTY) return await chatInPipe(start, signal);
      signal.addEventListener("abort", () => process.exit(signal.reason.status));
      return await new TerminalChat(start).run(
        `${oneLine(llama.name ?? "the model")} is ready; /help lists commands, Ctrl-D leaves`,
      );
    } finally {
      llama.dispose();
    }
  },
});

function sendOptions(values: Values): SendOptions {
  const { maxTokens, stop, ignoreEos } = values;
  const given = { ...samplingOf(values), maxTokens, stop, ignoreEos };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function noTemplate(): UnsupportedError {
  return new UnsupportedError(
    "Cannot chat: The model has no chat template, so it continues texts and does not answer; take one that was trained to talk " +
      `(cria chat -m ${talkers.join(", or -m ")}), give the template that it was trained with (--chat-template FILE), or use cria generate`,
  );
}
