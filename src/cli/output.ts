// Writes to standard output and standard error, and waits until the system has taken the text.
import process from "node:process";

/** The reader of standard output has closed it, as `head` does when it has seen enough. */
export class ClosedPipe extends Error {}

interface DenoStdout {
  write(bytes: Uint8Array): Promise<number>;
}

// Deno's process.stdout blocks the thread while a pipe is full, and no signal arrives then.
const denoStdout = (globalThis as { Deno?: { stdout: DenoStdout } }).Deno?.stdout;

// The callback of write() reports errors. Without a listener the event would end the process.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

/** Writes to standard output and waits until the system has taken it. @throws ClosedPipe */
export async function writeOut(text: string): Promise<void> {
  if (text === "") return;
  try {
    await (denoStdout ? writeDeno(denoStdout, text) : writeStream(process.stdout, text));
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    const closed = ["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"].includes(code);
    if (closed) throw new ClosedPipe("Cannot write to standard output: it was closed");
    throw new Error(`Cannot write to standard output: ${message}`, { cause: error });
  }
}

/** Writes to standard error and waits until the system has taken it. Never fails. */
export async function writeErr(text: string): Promise<void> {
  // If standard error cannot be written, the error cannot be shown either.
  await writeStream(process.stderr, text).catch(() => {});
}

async function writeDeno(stdout: DenoStdout, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length; ) done += await stdout.write(bytes.subarray(done));
}

function writeStream(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
