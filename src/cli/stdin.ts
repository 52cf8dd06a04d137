import { Buffer } from "node:buffer";
import process from "node:process";

/** No context holds a prompt of this size; a device that never ends must not fill the memory. */
const MAX_BYTES = 16 << 20;

/** Standard input as text, without the line end at its end, as a shell's $(...) would take it. */
export async function readStdin(): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new Error(
        `Cannot read the prompt from standard input: Expected at most ${MAX_BYTES} bytes, got more`,
      );
    }
    chunks.push(chunk);
  }
  return decode(Buffer.concat(chunks, bytes)).replace(/\r?\n$/, "");
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("Cannot read the prompt from standard input: Expected UTF-8 text");
  }
}
