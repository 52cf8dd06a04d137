// `cria list`: the models in the cache.
import { type CachedModel, list } from "../models.ts";
import { sizeText } from "../util/bytes.ts";
import { command } from "./command.ts";
import { ArgumentError, describeFlags, helpFlag, oneLine, show, switchFlag } from "./flags/args.ts";
import { writeOut } from "./terminal/output.ts";
import { textWidth } from "./terminal/terminal.ts";

const flags = {
  json: switchFlag("--json", "print a line of JSON for each model, with its files"),
  help: helpFlag,
};

const help = `Usage: cria list [flags]

Prints the models that were downloaded: name, size, when, and revision of the hub. A model of which a part is
missing has "of" and its whole size. cria pull NAME completes it, cria remove NAME removes it.

Flags:
${describeFlags(flags)}`;

/** `cria list`: the models that were downloaded. */
export const listCommand = command({
  name: "list",
  summary: "show the models that were downloaded",
  help,
  flags,
  async run({ values, operands }) {
    if (operands.length > 0) {
      throw new ArgumentError(`Cannot list: Expected no operands, got ${show(operands[0] as string)}`);
    }
    const models = await list();
    await writeOut(
      values.json ? models.map((model) => `${JSON.stringify(model)}\n`).join("") : table(models),
    );
    return 0;
  },
});

function table(models: readonly CachedModel[]): string {
  if (models.length === 0) return "";
  const rows = models.map(({ name, bytes, totalBytes, isWhole, modified, revision = "-" }) => [
    oneLine(name),
    isWhole ? sizeText(bytes) : partText(bytes, totalBytes),
    modified ? timeText(modified) : "-",
    oneLine(revision),
  ]);
  const all = [["NAME", "SIZE", "WHEN", "REVISION"], ...rows];
  const widths = [0, 1, 2].map((i) => Math.max(...all.map((row) => textWidth(row[i] as string))));
  const padded = (text: string, i: number) =>
    text + " ".repeat(Math.max(0, (widths[i] ?? 0) - textWidth(text)));
  return all.map((row) => `${row.map(padded).join("  ").trimEnd()}\n`).join("");
}

function partText(bytes: number, totalBytes: number): string {
  return totalBytes > bytes ? `${sizeText(bytes)} of ${sizeText(totalBytes)}` : `${sizeText(bytes)}, a part`;
}

/** Local time to the minute: "2026-11-29 21:13". */
function timeText(time: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
