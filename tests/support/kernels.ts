// Kernel harness: a fresh memory for a variant, a bump allocator over it, outputs pre-filled with NaN and
// guard bytes on both sides of every allocation.
import assert from "node:assert/strict";
import { CONTROL_BYTES } from "../../assembly/layout/control.ts";
import { createInstance, createMemory, type KernelInstance } from "../../src/kernels/instance.ts";
import { compileVariant, type Variant, variants, variantWorks } from "../../src/kernels/variant.ts";

export { variants };

const GUARD = 64;
const GUARD_BYTE = 0xa5;

export class KernelBench {
  readonly kernels: KernelInstance["exports"];
  readonly memory: WebAssembly.Memory;
  private next = CONTROL_BYTES;
  private readonly guards: number[] = [];

  private constructor(instance: KernelInstance) {
    this.kernels = instance.exports;
    this.memory = instance.memory;
  }

  static async create(variant: Variant, bytes = 64 << 20): Promise<KernelBench> {
    const memory = createMemory(bytes, variant.endsWith("-shared"));
    return new KernelBench(await createInstance(compileVariant(variant), memory));
  }

  /** Kernels of a module that is no variant, with memory that is not shared. */
  static async of(module: WebAssembly.Module, bytes: number): Promise<KernelBench> {
    return new KernelBench(await createInstance(module, createMemory(bytes, false)));
  }

  /** A 16-byte aligned address with `bytes` bytes of 0xff (NaN as f32) between guards. */
  alloc(bytes: number): number {
    const begin = this.next + GUARD;
    const end = begin + Math.ceil(bytes / 16) * 16;
    if (end + GUARD > this.memory.buffer.byteLength)
      throw new Error(`kernel harness: out of memory (${bytes})`);
    const all = new Uint8Array(this.memory.buffer);
    all.fill(GUARD_BYTE, this.next, end + GUARD);
    all.fill(0xff, begin, begin + bytes);
    this.guards.push(this.next, begin, begin + bytes, end + GUARD);
    this.next = end + GUARD;
    return begin;
  }

  /** Forgets all allocations. */
  reset(): void {
    this.next = CONTROL_BYTES;
    this.guards.length = 0;
  }

  f32(ptr: number, n: number): Float32Array {
    return new Float32Array(this.memory.buffer, ptr, n);
  }

  i32(ptr: number, n: number): Int32Array {
    return new Int32Array(this.memory.buffer, ptr, n);
  }

  u8(ptr: number, n: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, ptr, n);
  }

  /** Allocates and fills. */
  put(values: Float32Array | Int32Array | Uint32Array | Uint16Array | Int8Array | Uint8Array): number {
    const ptr = this.alloc(values.byteLength);
    this.u8(ptr, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return ptr;
  }

  /** Fails if a kernel wrote outside its allocations. */
  checkGuards(): void {
    const all = new Uint8Array(this.memory.buffer);
    for (let i = 0; i < this.guards.length; i += 2) {
      for (let p = this.guards[i] as number; p < (this.guards[i + 1] as number); p++) {
        if (all[p] !== GUARD_BYTE) assert.fail(`byte ${p} outside an allocation was written`);
      }
    }
  }
}

/** The variants this runtime accepts; says which it leaves out. */
export function workingVariants(): Variant[] {
  return variants.filter((variant) => {
    const works = variantWorks(variant);
    if (!works) console.log(`variant ${variant} is not supported by this runtime: left out`);
    return works;
  });
}

/** Normalised mean squared error: sum((a - b)^2) / sum(b^2); a NaN on either side gives NaN. */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let error = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i] as number;
    const d = (actual[i] as number) - e;
    error += d * d;
    norm += e * e;
  }
  return error === 0 ? 0 : error / norm;
}

/** A small deterministic generator for test data: uniform in [low, high). */
export function uniform(seed: number): (low: number, high: number) => number {
  let state = (seed * 2654435761 + 1) | 0;
  return (low, high) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return low + ((state >>> 0) / 4294967296) * (high - low);
  };
}

/** `n` uniform values. */
export function randomF32(n: number, seed: number, low = -1, high = 1): Float32Array {
  const next = uniform(seed);
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = next(low, high);
  return values;
}
