// Conversations as files: messages in JSON, which every model can go on from.
import type { Message } from "../../mod.ts";
import { SourceError } from "../../util/errors.ts";
import { decodeText } from "../input/decode_text.ts";
import { readFile } from "../input/text_input.ts";
import { OutputFile } from "../terminal/output_file.ts";

/** No context holds a conversation of this size. */
const MAX_BYTES = 16 << 20;

/** Writes a conversation: `{ "messages": [...] }`, as requests have it. @throws SourceError */
export async function writeTranscript(name: string, messages: readonly Message[]): Promise<void> {
  const file = await OutputFile.check(name);
  await file.write(new TextEncoder().encode(`${JSON.stringify({ messages }, undefined, 2)}\n`));
}

/** Reads a conversation: a list of messages, or an object with one. @throws SourceError */
export async function readTranscript(name: string): Promise<readonly Message[]> {
  const value = await readJson(name);
  const messages = Array.isArray(value) ? value : (Object(value) as { messages?: unknown }).messages;
  if (Array.isArray(messages)) return messages;
  throw new SourceError(`Cannot read ${name}: Expected a list of messages, or { "messages": [...] }`);
}

/** The value that a file of JSON has. @throws SourceError */
export async function readJson(name: string): Promise<unknown> {
  const text = decodeText(await readFile(name, MAX_BYTES), name);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SourceError(`Cannot read ${name}: Expected JSON, ${(cause as Error).message}`, { cause });
  }
}
