import { Buffer } from "node:buffer";
import process from "node:process";

/** No context holds a prompt of this size; a device that never ends must not fill the memory. */
const MAX_BYTES = 16 << 20;

/** Standard input as text, without the line end at its end, as a shell's $(...) would take it. */
export async function readStdin(): Promise<string> {
  return decode(await readStdinBytes("the prompt", MAX_BYTES)).replace(/\r?\n$/, "");
}

/**
 * All of standard input.
 * @param what what error messages call it
 * @throws Error above `maxBytes`
 */
export async function readStdinBytes(what: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new Error(
        `Cannot read ${what} from standard input: Expected at most ${maxBytes} bytes, got more`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("Cannot read the prompt from standard input: Expected UTF-8 text");
  }
}
