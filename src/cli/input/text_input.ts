// The text that a command works on: an operand, a flag's value, a file or standard input.
import { detectRuntime } from "../../runtime/detect.ts";
import { decodeUtf8 } from "../../util/bytes.ts";
import { SourceError } from "../../util/errors.ts";
import { ArgumentError, type Flag, textFlag } from "../flags/args.ts";
import { withoutByteOrderMark } from "./decode_text.ts";
import { readStdin, stdinIsGiven, tooLong } from "./stdin.ts";

/** Runtimes hold no string of twice this size, and an endless device must not fill the memory. */
const MAX_TEXT_BYTES = 256 << 20;

/** The flags that give a text, beside the operand. */
export const textFlags: { readonly prompt: Flag<string>; readonly file: Flag<string> } = {
  prompt: {
    flag: "--prompt",
    aliases: ["-p"],
    valueName: "TEXT",
    help: "the text, as the operand is",
    // The empty text is a text too.
    read: (text) => text,
  },
  file: textFlag("--file", "FILE", 'read the text from a file; "-" is standard input', {
    aliases: ["-f"],
    isFile: true,
  }),
};

/** What the command line says about the text. */
export interface TextArguments {
  readonly operands: readonly string[];
  readonly prompt?: string | undefined;
  readonly file?: string | undefined;
}

/** Where a text comes from, and the text itself if it is already there. */
export type TextInput =
  | { readonly from: "arguments"; readonly text: string }
  | { readonly from: "file"; readonly name: string }
  | { readonly from: "stdin" }
  | { readonly from: "nowhere" };

/**
 * Finds the text. A pipe or file on standard input is read only if the command line names no text.
 * @param what what messages call it
 * @throws ArgumentError when it is given twice
 */
export function findText(what: string, { operands, prompt, file }: TextArguments): TextInput {
  if (operands.length > 1) throw new ArgumentError(`Expected one ${what}, got ${operands.length}; quote it`);
  const [operand] = operands;
  const given = [
    operand !== undefined && "an operand",
    prompt !== undefined && textFlags.prompt.flag,
    file !== undefined && textFlags.file.flag,
  ].filter((name) => name !== false);
  if (given.length > 1) throw new ArgumentError(`Expected one ${what}, got ${given.join(" and ")}`);
  if (prompt !== undefined) return { from: "arguments", text: prompt };
  const name = file ?? (operand === "-" ? "-" : undefined);
  if (name === "-") return { from: "stdin" };
  if (name !== undefined) return { from: "file", name };
  if (operand !== undefined) return { from: "arguments", text: operand };
  return { from: stdinIsGiven() ? "stdin" : "nowhere" };
}

/**
 * As {@link findText}, for commands whose operand names a file.
 * @throws ArgumentError when it is given twice
 */
export function findFile(what: string, { operands, prompt, file }: TextArguments): TextInput {
  const [name] = operands;
  if (operands.length > 1) throw new ArgumentError(`Expected one file, got ${operands.length}`);
  const found = findText(what, { operands, prompt, file });
  return name === undefined || name === "-" ? found : { from: "file", name };
}

/** Bytes of a text in a file or on standard input, and what messages call it. */
export async function readInput(
  input: TextInput & { readonly from: "file" | "stdin" },
  what: string,
  maxBytes: number,
): Promise<{ readonly bytes: Uint8Array; readonly name: string }> {
  if (input.from === "file") return { bytes: await readFile(input.name, maxBytes), name: input.name };
  const hint = `give it as an argument, or "" for none`;
  return { bytes: await readStdin(`the ${what}`, hint, maxBytes), name: `the ${what} from standard input` };
}

/**
 * The text itself, line ends and all, but without a byte order mark; bytes that are not UTF-8 become U+FFFD. Without one,
 * standard input is read: the user may type it.
 */
export async function readText(input: TextInput): Promise<string> {
  if (input.from === "arguments") return input.text;
  const place = input.from === "nowhere" ? ({ from: "stdin" } as const) : input;
  const { bytes, name } = await readInput(place, "text", MAX_TEXT_BYTES);
  return decodeUtf8(withoutByteOrderMark(bytes, name));
}

/** The bytes of a file. @throws SourceError if it cannot be read, and above `maxBytes` */
export async function readFile(name: string, maxBytes: number): Promise<Uint8Array> {
  const source = await detectRuntime().openFile(name);
  try {
    const size = source.size ?? 0;
    if (size > maxBytes) throw new SourceError(tooLong(name, maxBytes));
    const bytes = new Uint8Array(size);
    await source.read(0, bytes);
    return bytes;
  } finally {
    await source.close();
  }
}
