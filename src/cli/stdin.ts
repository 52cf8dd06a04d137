// Standard input: whether there is one, and its bytes.
import { Buffer } from "node:buffer";
import { fstatSync } from "node:fs";
import process from "node:process";
import { SourceError } from "../util/errors.ts";
import { writeErr } from "./output.ts";

/** After this wait for standard input, a message says what is missing. */
const PATIENCE_MS = 1000;

/**
 * Whether standard input is a pipe, a socket or a file. A terminal is not meant as input unless it is asked for,
 * nor is a device: services and scheduled jobs run with /dev/null.
 */
export function stdinIsGiven(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isSocket() || stat.isFile();
  } catch {
    return false;
  }
}

/**
 * Standard input, part by part. If nothing comes within a second, a line on standard error says what is waited for: a
 * pipe that is open and not written looks like a program that hangs.
 * @param what what messages call it: "the prompt"
 * @param hint how to do without it
 */
export async function* stdinParts(what: string, hint: string): AsyncGenerator<Uint8Array> {
  let silent = true;
  const timer = setTimeout(() => {
    const end = process.stdin.isTTY ? `; ${END_KEY} at the beginning of a line ends it` : `; ${hint}`;
    if (silent) void writeErr(`reading ${what} from standard input${end}\n`);
  }, PATIENCE_MS);
  try {
    for await (const part of process.stdin as AsyncIterable<Uint8Array>) {
      silent = false;
      yield part;
    }
  } catch (cause) {
    const { message } = cause as Error;
    throw new SourceError(`Cannot read ${what} from standard input: ${message}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * All of standard input.
 * @param what what messages call it
 * @param hint how to do without it
 * @throws SourceError above `maxBytes`
 */
export async function readStdin(what: string, hint: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdinParts(what, hint)) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new SourceError(tooLong(`${what} from standard input`, maxBytes));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** The message about a text of more than `maxBytes`; a device that never ends must not fill the memory. */
export function tooLong(name: string, maxBytes: number): string {
  return `Cannot read ${name}: Expected at most ${maxBytes} bytes, got more`;
}

const END_KEY = process.platform === "win32" ? "Ctrl-Z and Enter" : "Ctrl-D";
