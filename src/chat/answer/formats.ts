// All formats of answers, and which one a chat template asks for.
import { quoted } from "../../util/bytes.ts";
import { UsageError } from "../../util/errors.ts";
import { didYouMean } from "../../util/nearest.ts";
import type { Format } from "./format.ts";
import { functionaryFormats } from "./functionary.ts";
import { gemmaFormats } from "./gemma_calls.ts";
import { harmonyFormats } from "./harmony.ts";
import { jsonFormats } from "./json_calls.ts";
import { namedFormats } from "./named_calls.ts";
import { pythonFormats } from "./python_calls.ts";
import { xmlFormats } from "./xml_calls.ts";

// In the order in which templates are asked: what is more peculiar comes first.
const formats: readonly Format[] = [
  ...harmonyFormats,
  ...gemmaFormats,
  ...xmlFormats,
  ...functionaryFormats,
  ...namedFormats,
  ...pythonFormats,
  ...jsonFormats,
  { names: ["plain", "gemma"] },
];

/**
 * The format of tool calls and reasoning that a chat template asks for, by what it writes; undefined if it knows neither.
 * @param template source of the template
 */
export function answerFormatOf(template: string): string | undefined {
  return formats.find(({ asks }) => asks?.test(template))?.names[0];
}

/**
 * A format by its name; plain text for undefined.
 * @throws UsageError for a name that is none
 */
export function formatNamed(name = "plain"): Format {
  const found = formats.find(({ names }) => names.includes(name));
  if (found) return found;
  const known = formats.flatMap(({ names }) => names);
  const hint = didYouMean(String(name), known) || `; formats: ${known.join(", ")}`;
  throw new UsageError(`Cannot parse an answer: Unknown format ${quoted(String(name))}${hint}`);
}
