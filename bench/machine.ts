// Where and when a measurement was taken, and how fast memory was meanwhile.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, platform, totalmem } from "node:os";
import process from "node:process";
import { createMemory } from "../src/kernels/instance.ts";
import { detectRuntime } from "../src/runtime/detect.ts";
import { type Processor, processorOf } from "./processor.ts";
import { median, significant } from "./report.ts";
import { wasm } from "./sweep.gen.ts";

/** The machine and the versions that a result belongs to. */
export interface Machine extends Partial<Processor> {
  /** As the system names it; machines that are rented say little. */
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly os: string;
  /** "bun 1.4.5". */
  readonly runtime: string;
  /** "JavaScriptCore" or "V8 15.0.x". */
  readonly engine: string;
  /** Short hash, with "+" where files differ from it; "unknown" outside a checkout. */
  readonly commit: string;
  readonly date: string;
  /** Processes that wanted to run in the minute before, on average. */
  readonly loadAverage: number;
}

function git(...args: string[]): string {
  const cwd = new URL("..", import.meta.url);
  return execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

function commit(): string {
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results");
    return git("rev-parse", "--short", "HEAD") + (changed === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}

// What /proc/cpuinfo says; nothing where a system has none.
function processor(): Partial<Processor> {
  try {
    return processorOf(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return {};
  }
}

/** What is known of this machine, now. */
export function machine(): Machine {
  const runtime = detectRuntime();
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    ...processor(),
    cores: runtime.cores,
    memoryGb: significant(totalmem() / 1e9, 3),
    os: `${platform()} ${process.arch}`,
    runtime: runtime.name,
    engine: runtime.name.startsWith("bun") ? "JavaScriptCore" : `V8 ${process.versions.v8}`,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    loadAverage: significant(loadavg()[0] ?? 0, 2),
  };
}

/** More than any cache holds. */
const SWEEP_BYTES = 512 << 20;
/**
 * Eight streams of 128 KiB at a time, near one another as the strips of a matrix are. Streams across the whole
 * of memory would each miss the table of page addresses, and the ceiling would lie below what kernels reach.
 */
const CHUNK_BYTES = 1 << 20;
const SWEEPS = 2;

/** Memory that is there to be read, from its beginning to its end, as fast as one thread can. */
export class Sweep {
  readonly bytes: number;
  readonly #sweep: (x: number, n: number) => number;

  /** @param bytes rounded up to whole MiB */
  constructor(bytes: number) {
    this.bytes = Math.ceil(bytes / CHUNK_BYTES) * CHUNK_BYTES;
    const memory = createMemory(this.bytes, false);
    // A page that was never written is the same page of zeros everywhere, and would be read from the cache.
    new Uint8Array(memory.buffer).fill(0x5a);
    const code = Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
    this.#sweep = instance.exports.sweep as (x: number, n: number) => number;
  }

  /** Reads all of it once, eight streams at a time. */
  read(): void {
    for (let at = 0; at < this.bytes; at += CHUNK_BYTES) this.#sweep(at, CHUNK_BYTES);
  }
}

/**
 * The read bandwidth of one thread, sampled again and again during a run: machines are shared, and a ceiling
 * from a quiet minute says nothing about a busy one.
 */
export class Bandwidth {
  readonly #sweep = new Sweep(SWEEP_BYTES);
  readonly #samples: number[] = [];

  constructor() {
    // The first sweeps are the engine's warm-up.
    this.readBandwidth();
    this.reset();
  }

  /** GB/s of reading 512 MiB, eight streams at a time; the best of a few sweeps. */
  readBandwidth(): number {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < SWEEPS; i++) {
      const begin = performance.now();
      this.#sweep.read();
      best = Math.min(best, performance.now() - begin);
    }
    const gbPerS = SWEEP_BYTES / best / 1e6;
    this.#samples.push(gbPerS);
    return gbPerS;
  }

  /** Forgets the samples so far. */
  reset(): void {
    this.#samples.length = 0;
  }

  /** The fastest sample, GB/s: the ceiling. 0 before the first. */
  get max(): number {
    return Math.max(0, ...this.#samples);
  }

  /** The samples so far. Their median against their maximum tells how quiet the machine was. */
  get summary(): { readonly maxGbPerS: number; readonly medianGbPerS: number; readonly samples: number } {
    const samples = this.#samples;
    return {
      maxGbPerS: significant(this.max),
      medianGbPerS: significant(median(samples)),
      samples: samples.length,
    };
  }
}
