// Runs the same calls on every build of the kernels and holds them to the same bits.
import assert from "node:assert/strict";
import type { Variant } from "../../src/kernels/variant.ts";
import { KernelBench, workingVariants } from "./kernels.ts";

/** A bench and the build it runs. */
export interface VariantBench {
  readonly variant: Variant;
  readonly bench: KernelBench;
}

/** A bench of `bytes` bytes for each variant this runtime accepts. */
export function variantBenches(bytes = 8 << 20): Promise<VariantBench[]> {
  const open = async (variant: Variant) => ({ variant, bench: await KernelBench.create(variant, bytes) });
  return Promise.all(workingVariants().map(open));
}

/** Fails at the first byte that differs. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] !== expected[i]) assert.fail(`${what}: byte ${i} is ${actual[i]}, expected ${expected[i]}`);
  }
}

/**
 * Runs `run` on each bench, its memory cleared of earlier allocations and its guards checked afterwards; all
 * must return the same bytes. Returns a copy of them.
 */
export function onEveryVariant(
  benches: VariantBench[],
  run: (bench: KernelBench, variant: Variant) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  let first: Uint8Array<ArrayBuffer> | undefined;
  for (const { bench, variant } of benches) {
    bench.reset();
    const bytes = new Uint8Array(run(bench, variant));
    bench.checkGuards();
    if (first) assertSameBytes(bytes, first, `variant ${variant} against ${benches[0]?.variant}`);
    else first = bytes;
  }
  assert.ok(first, "no variant works in this runtime");
  return first;
}

/** As onEveryVariant, for f32 results. */
export function f32OnEveryVariant(
  benches: VariantBench[],
  run: (bench: KernelBench, variant: Variant) => Float32Array,
): Float32Array<ArrayBuffer> {
  const bytes = onEveryVariant(benches, (bench, variant) => {
    const values = run(bench, variant);
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  });
  return new Float32Array(bytes.buffer);
}
