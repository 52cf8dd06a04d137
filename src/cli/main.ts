// The command line: `bun src/cli/main.ts generate ...`, `deno run -A src/cli/main.ts generate ...`.
import process from "node:process";
import { allKinds } from "../format/all_kinds.ts";
import { provideOtherKinds } from "../format/other_kinds.ts";
import { CriaError, SourceError, UsageError } from "../util/errors.ts";
import { VERSION } from "../util/version.ts";
import { chatCommand } from "./chat.ts";
import type { Command } from "./command.ts";
import { convertCommand } from "./convert.ts";
import { ArgumentError, oneLine, show, suggestion } from "./flags/args.ts";
import { completionsCommand } from "./flags/completions.ts";
import { nameFlags } from "./flags/flag_names.ts";
import { generateCommand } from "./generate.ts";
import { listCommand } from "./list.ts";
import { perplexityCommand } from "./perplexity.ts";
import { pullCommand } from "./pull.ts";
import { quantizeCommand } from "./quantize.ts";
import { removeCommand } from "./remove.ts";
import { serveCommand } from "./serve.ts";
import { runEngineThread } from "./serving/engine_thread.ts";
import { showCommand } from "./show.ts";
import { Interrupted } from "./terminal/interrupt.ts";
import { ClosedPipe, writeErr, writeOut } from "./terminal/output.ts";
import { tokenizeCommand } from "./tokenize.ts";
import { trainTokenizerCommand } from "./train_tokenizer.ts";

const commands: readonly Command[] = [
  generateCommand,
  chatCommand,
  serveCommand,
  pullCommand,
  listCommand,
  removeCommand,
  tokenizeCommand,
  perplexityCommand,
  showCommand,
  trainTokenizerCommand,
  quantizeCommand,
  convertCommand,
  completionsCommand(() => commands),
];

const names = commands.map(({ name }) => name);
const nameWidth = Math.max(...names.map((name) => name.length));

const usage = `Usage: cria COMMAND [arguments]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(nameWidth)}  ${summary}\n`).join("")}
  cria help COMMAND    says more about one (also cria COMMAND --help)
  cria --version       prints the version (also -v)
`;

/** Commands of other programs, and what to use here instead. */
const strangers: Readonly<Record<string, string>> = {
  run: "cria chat --model FILE talks with a model",
  talk: "cria chat talks with a model",
  complete: 'cria generate "TEXT" continues a text',
  server: "cria serve answers clients of OpenAI's interface",
  download: "cria pull NAME downloads a model",
  models: "cria list shows the models that were downloaded",
  ls: "cria list shows the models that were downloaded",
  rm: "cria remove NAME removes a model that was downloaded",
  info: "cria show FILE says what a model file is",
  inspect: "cria show FILE says what a model file is",
  ppl: "cria perplexity FILE scores a text",
  encode: "cria tokenize prints the tokens of a text",
  train: "cria train-tokenizer learns a tokenizer; models are trained elsewhere",
  completion: "cria completions SHELL prints completions",
};

async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) return misused("");
  if (["--help", "-h", "help"].includes(name)) return help(name === "help" ? args : []);
  if (["--version", "-v", "-V", "version"].includes(name)) {
    await writeOut(`cria ${VERSION}\n`);
    return 0;
  }
  const command = findCommand(name);
  return command ? runCommand(command, args) : misused(unknown(name));
}

function findCommand(name: string): Command | undefined {
  return commands.find((known) => known.name === name);
}

async function help([name]: readonly string[]): Promise<number> {
  const isAboutAll = name === undefined || name === "help" || name.startsWith("-");
  const text = isAboutAll ? usage : findCommand(name)?.help;
  if (text === undefined) return misused(unknown(name as string));
  await writeOut(text);
  return 0;
}

async function misused(error: string): Promise<number> {
  await writeErr(error === "" ? usage : `error: ${error}\n\n${usage}`);
  return 2;
}

function unknown(name: string): string {
  const hint = Object.hasOwn(strangers, name) ? `: ${strangers[name]}` : suggestion(name, names);
  if (hint === "" && /\s/.test(name))
    return `Unknown command ${show(name)}: cria generate "TEXT" continues a text`;
  return `Unknown command ${show(name)}${hint}`;
}

/** Runs a command; what the library says about its options becomes a message about flags. */
async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  try {
    return await command.run(args);
  } catch (error) {
    // The message names a file, which may be called like an option.
    if (!(error instanceof CriaError) || error instanceof ArgumentError || error instanceof SourceError) {
      throw error;
    }
    error.message = nameFlags(error.message, command.flags, args);
    throw error;
  }
}

/** Says on one line what went wrong; the result is the exit status. */
async function report(error: unknown): Promise<number> {
  if (error instanceof Interrupted) return error.status;
  if (error instanceof ClosedPipe) return 0;
  const message = error instanceof Error ? error.message : String(error);
  await writeErr(`error: ${oneLine(message)}\n`);
  if (error instanceof ArgumentError) await writeErr("The flag --help lists what there is.\n");
  return error instanceof UsageError ? 2 : 1;
}

provideOtherKinds(allKinds);
// What still waits (a read, a timer) must not keep the process alive.
if (!runEngineThread(import.meta.url)) process.exit(await run(process.argv.slice(2)).catch(report));
