// The command line: `bun src/cli/main.ts generate ...`, `deno run -A src/cli/main.ts generate ...`.
import process from "node:process";
import { UsageError } from "../util/errors.ts";
import { didYouMean } from "../util/nearest.ts";
import { ArgumentError, oneLine, show } from "./args.ts";
import type { Command } from "./command.ts";
import { generateCommand } from "./generate.ts";
import { Interrupted } from "./interrupt.ts";
import { ClosedPipe, writeErr, writeOut } from "./output.ts";
import { tokenizeCommand } from "./tokenize.ts";
import { trainTokenizerCommand } from "./train_tokenizer.ts";
import { VERSION } from "./version.ts";

const commands: readonly Command[] = [generateCommand, tokenizeCommand, trainTokenizerCommand];

const nameWidth = Math.max(...commands.map(({ name }) => name.length));

const usage = `Usage: cria COMMAND [arguments]

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(nameWidth)}  ${summary}\n`).join("")}
  cria COMMAND --help  says more about one
  cria --version       prints the version
`;

async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === "--help" || name === "-h") {
    await writeOut(usage);
    return 0;
  }
  if (name === "--version") {
    await writeOut(`cria ${VERSION}\n`);
    return 0;
  }
  const command = commands.find((known) => known.name === name);
  if (command) return command.run(args);
  if (name !== undefined) {
    const names = commands.map((known) => known.name);
    await writeErr(`error: Unknown command ${show(name)}${didYouMean(name, names)}\n\n`);
  }
  await writeErr(usage);
  return 2;
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

// What still waits (a read, a timer) must not keep the process.
process.exit(await run(process.argv.slice(2)).catch(report));
