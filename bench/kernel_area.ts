// Kernels on a memory larger than any cache, and data to fill it with.
import { CONTROL_BYTES } from "../assembly/layout/control.ts";
import { Arena } from "../src/kernels/arena.ts";
import type { KernelExports } from "../src/kernels/exports.gen.ts";
import { createInstance, createMemory, type KernelInstance } from "../src/kernels/instance.ts";
import { compileVariant, type Variant } from "../src/kernels/variant.ts";
import { chunkStrips } from "../src/model/plan.ts";
import type { Matrix } from "../src/model/weights.ts";

/** What a case that shall read from memory goes round in: more than any cache holds. */
export const FAR_BYTES = 288 << 20;
// FAR_BYTES, rounded up to a whole layer, and what the rest of a case needs.
const AREA_BYTES = FAR_BYTES + (96 << 20);

/** Strips [begin, end) of the calls that a plan makes of a matrix, where one thread is alone: see assembly/sync.ts. */
export function callsOf(
  matrix: Pick<Matrix, "strips" | "blocks" | "format">,
  tokens: number,
): readonly (readonly [begin: number, end: number])[] {
  const { strips } = matrix;
  const streams = strips >> 3;
  const chunk = tokens > 1 ? chunkStrips(matrix) : 8;
  const first = tokens > 1 || streams < 2 ? chunk : 8 * ((streams - 1) | 1);
  const rest = Math.max(0, Math.ceil((strips - first) / chunk));
  const begins = Array.from({ length: rest }, (_, i) => first + i * chunk);
  return [
    [0, Math.min(first, strips)],
    ...begins.map((begin) => [begin, Math.min(begin + chunk, strips)] as const),
  ];
}

/** A kernel instance and the addresses of its memory. */
export class KernelArea {
  readonly kernels: KernelExports;
  readonly memory: WebAssembly.Memory;
  #arena = new Arena(CONTROL_BYTES);
  #seed = 1;

  private constructor({ exports, memory }: KernelInstance) {
    this.kernels = exports;
    this.memory = memory;
  }

  static async create(variant: Variant): Promise<KernelArea> {
    const memory = createMemory(AREA_BYTES, variant.endsWith("-shared"));
    return new KernelArea(await createInstance(compileVariant(variant), memory));
  }

  /** Gives every address back. */
  reset(): void {
    this.#arena = new Arena(CONTROL_BYTES);
    this.#seed = 1;
  }

  /** The address of `bytes` bytes, on a cache line of its own. */
  alloc(bytes: number): number {
    const address = this.#arena.alloc(bytes);
    if (this.#arena.size > AREA_BYTES) throw new Error(`a case needs ${this.#arena.size} bytes`);
    return address;
  }

  /** The address of `n` values in [low, high), the same in every run. */
  random(n: number, low = -1, high = 1): number {
    const address = this.alloc(4 * n);
    const values = new Float32Array(this.memory.buffer, address, n);
    for (let i = 0; i < n; i++) {
      this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
      values[i] = low + (this.#seed / 2 ** 32) * (high - low);
    }
    return address;
  }

  /** The address of integers. */
  words(values: ArrayLike<number>): number {
    const address = this.alloc(4 * values.length);
    new Uint32Array(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** Fills [address, address + total) with copies of its first `bytes` bytes. */
  spread(address: number, bytes: number, total: number): void {
    const all = new Uint8Array(this.memory.buffer);
    for (let done = bytes; done < total; done *= 2) {
      all.copyWithin(address + done, address, address + Math.min(done, total - done));
    }
  }
}
