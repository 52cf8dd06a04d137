// Describes the machine of a measurement, and samples its read bandwidth meanwhile.
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
  /** The system's name for the processor. Rented machines often hide the model. */
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly os: string;
  /** "bun 1.4.5". */
  readonly runtime: string;
  /** "JavaScriptCore" or "V8 15.0.x". */
  readonly engine: string;
  /** Short hash, with "+" if files differ from it; "unknown" outside a checkout. */
  readonly commit: string;
  readonly date: string;
  /** Average number of processes that were running or ready in the minute before. */
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

// The processor in /proc/cpuinfo; nothing if the system has no such file.
function processor(): Partial<Processor> {
  try {
    return processorOf(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return {};
  }
}

/** Describes this machine as it is now. */
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

/** More than any processor's cache holds. */
const SWEEP_BYTES = 512 << 20;
/**
 * Eight streams of 128 KiB at a time. They lie near one another, as the strips of a matrix do. Streams that were spread over
 * all of memory would each miss the cache of page addresses (TLB), and the result would be lower than kernels reach.
 */
const CHUNK_BYTES = 1 << 20;
const SWEEPS = 2;

/** A memory that one thread reads from beginning to end, as fast as it can. */
export class Sweep {
  readonly bytes: number;
  readonly #sweep: (x: number, n: number) => number;

  /** @param bytes rounded up to whole MiB */
  constructor(bytes: number) {
    this.bytes = Math.ceil(bytes / CHUNK_BYTES) * CHUNK_BYTES;
    const memory = createMemory(this.bytes, false);
    // The system maps all pages that were never written to one page of zeros, which would be read from the cache.
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
 * The read bandwidth of one thread, sampled repeatedly during a run. Machines are shared, so the bandwidth of a quiet
 * minute says nothing about a busy one.
 */
export class Bandwidth {
  readonly #sweep = new Sweep(SWEEP_BYTES);
  readonly #samples: number[] = [];

  constructor() {
    // The first sweeps are the engine's warm-up.
    this.readBandwidth();
    this.reset();
  }

  /** Reads 512 MiB a few times, eight streams at a time. Returns the GB/s of the fastest time. */
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

  /** The fastest sample in GB/s; 0 before the first. */
  get max(): number {
    return Math.max(0, ...this.#samples);
  }

  /** The samples so far. The nearer the median is to the maximum, the quieter was the machine. */
  get summary(): { readonly maxGbPerS: number; readonly medianGbPerS: number; readonly samples: number } {
    const samples = this.#samples;
    return {
      maxGbPerS: significant(this.max),
      medianGbPerS: significant(median(samples)),
      samples: samples.length,
    };
  }
}
