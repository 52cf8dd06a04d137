// Serves a peer over standard input and output, in Bun, Deno and Node.
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { ANSWER_MARK, answer, type Memory, type Peer } from "../protocol.ts";

/** Peak memory of a process, as Linux reports it. Node's own API includes the parent's peak. */
export function peakOf(pid: number | "self"): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

/** Peak memory of this process. */
export async function peakMemory(): Promise<Memory> {
  return { peakBytes: peakOf("self") };
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
