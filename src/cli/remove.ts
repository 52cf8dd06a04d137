// `cria remove`: removes a model from the cache.
import { remove } from "../models.ts";
import { sizeText } from "../util/bytes.ts";
import { command, oneModel } from "./command.ts";
import { describeFlags, helpFlag, oneLine } from "./flags/args.ts";
import { writeErr, writeOut } from "./terminal/output.ts";

const flags = { help: helpFlag };

const help = `Usage: cria remove NAME

Removes a model that was downloaded, by its name in cria list, or as cria pull takes it. Says on standard error what
it has freed.

Flags:
${describeFlags(flags)}`;

/** `cria remove`: removes a model that was downloaded. */
export const removeCommand = command({
  name: "remove",
  summary: "remove a model that was downloaded",
  help,
  flags,
  async run({ operands }) {
    const name = oneModel("remove", operands);
    const removed = await remove(name);
    await writeOut(`${oneLine(removed.name)}\n`);
    await writeErr(`freed ${sizeText(removed.bytes)}\n`);
    return 0;
  },
});
