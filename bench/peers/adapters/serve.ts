// Serves a peer over standard input and output, in Bun, Deno and Node.
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { ANSWER_MARK, answer, type Peer } from "../protocol.ts";

/** Peak memory of this process, as Linux reports it. Node's own API includes the parent's peak. */
export async function peakMemory(): Promise<{ readonly peakBytes: number | undefined }> {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return { peakBytes: kilobytes === undefined ? undefined : Number(kilobytes) * 1024 };
  } catch {
    return { peakBytes: undefined };
  }
}

/** Answers calls one by one until the input ends. */
export async function serve(peer: Peer, end: () => Promise<void> = async () => {}): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(peer, JSON.parse(line));
    process.stdout.write(`${ANSWER_MARK}${JSON.stringify(reply)}\n`);
  }
  await end();
  process.exit(0);
}
