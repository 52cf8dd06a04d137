// `cria remove`: removes a model from the cache.
import { remove } from "../models.ts";
import { sizeText } from "../util/bytes.ts";
import type { Command } from "./command.ts";
import { ArgumentError, describeFlags, helpFlag, oneLine, parseArgs } from "./flags/args.ts";
import { writeErr, writeOut } from "./terminal/output.ts";

const flags = { help: helpFlag };

const help = `Usage: cria remove NAME

Removes a model that was downloaded, by its name in cria list, or as cria pull takes it. Says on standard error what
it has freed.

Flags:
${describeFlags(flags)}`;

/** `cria remove`: removes a model that was downloaded. */
export const removeCommand: Command = {
  name: "remove",
  summary: "remove a model that was downloaded",
  help,
  flags,
  async run(args) {
    const { values, operands } = parseArgs(args, flags);
    if (values.help) {
      await writeOut(help);
      return 0;
    }
    const [name, ...more] = operands;
    if (name === undefined || more.length > 0) {
      throw new ArgumentError(`Cannot remove: Expected the name of one model, got ${operands.length}`);
    }
    const removed = await remove(name);
    await writeOut(`${oneLine(removed.name)}\n`);
    await writeErr(`freed ${sizeText(removed.bytes)}\n`);
    return 0;
  },
};
