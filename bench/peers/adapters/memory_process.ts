// The upper limit for every engine: threads that read as many bytes as a step reads weights, and compute nothing.
import { Worker } from "node:worker_threads";
import { openModelFile } from "../../../src/format/detect.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { openSource } from "../../../src/source/open.ts";
import { Sweep } from "../../machine.ts";
import { median } from "../../report.ts";
import type { LoadRequest, Peer } from "../protocol.ts";
import { DONE, GO, type ReadTask } from "./memory_thread.ts";
import { peakMemory, serve } from "./serve.ts";

const EMBEDDING = "token_embd.weight";
const OUTPUT = "output.weight";

// Bytes of the tensors that every token reads whole. Of the embedding it reads a row, unless that is the output too.
async function weightBytes(file: string): Promise<number> {
  const source = await openSource(file, detectRuntime());
  const { tensors } = await openModelFile(source);
  await source.close();
  return [...tensors.values()]
    .filter(({ name }) => name !== EMBEDDING || !tensors.has(OUTPUT))
    .reduce((sum, { byteLength }) => sum + byteLength, 0);
}

// A thread that fails ends the process, because an error without a listener does.
function message(thread: Worker): Promise<unknown> {
  return new Promise((resolve) => thread.once("message", resolve));
}

class Memory implements Peer {
  readonly #flags = new Int32Array(new SharedArrayBuffer(8));
  #own: Sweep | undefined;
  #others: Worker[] = [];

  async about() {
    return { version: detectRuntime().name };
  }

  async load({ file, threads }: LoadRequest) {
    const begin = performance.now();
    const bytes = Math.ceil((await weightBytes(file)) / threads);
    const others = Array.from(
      { length: threads - 1 },
      () =>
        new Worker(new URL("memory_thread.ts", import.meta.url), {
          workerData: { bytes, flags: this.#flags },
        }),
    );
    await Promise.all(others.map(message));
    this.#own = new Sweep(bytes);
    this.#others = others;
    return { ms: performance.now() - begin, threads };
  }

  async decode({ tokens }: { tokens: number }) {
    const own = this.#own;
    if (!own) throw new Error("no model is loaded");
    const flags = this.#flags.fill(0);
    // As in cria, threads are awake before the first token and spin between tokens.
    const awake = Promise.all(this.#others.map(message));
    for (const thread of this.#others) thread.postMessage({ tokens } satisfies ReadTask);
    await awake;
    const times: number[] = [];
    for (let token = 1; token <= tokens; token++) {
      const begin = performance.now();
      Atomics.store(flags, GO, token);
      own.read();
      while (Atomics.load(flags, DONE) < token * this.#others.length);
      times.push(performance.now() - begin);
    }
    return { ms: median(times) };
  }

  memory = peakMemory;
}

await serve(new Memory());
