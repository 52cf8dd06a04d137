import { wasm as relaxed } from "./relaxed.gen.ts";
import { wasm as relaxedShared } from "./relaxed_shared.gen.ts";
import { wasm as simd } from "./simd.gen.ts";
import { wasm as simdShared } from "./simd_shared.gen.ts";

/** The four builds of the one kernel source. */
export type Variant = "simd" | "relaxed" | "simd-shared" | "relaxed-shared";

/** All variants, in the order tests and size checks go through them. */
export const variants: readonly Variant[] = ["simd", "relaxed", "simd-shared", "relaxed-shared"];

const sources: Record<Variant, string> = {
  simd,
  relaxed,
  "simd-shared": simdShared,
  "relaxed-shared": relaxedShared,
};

const compiled = new Map<Variant, WebAssembly.Module>();

/** The bytes of a variant's module. */
export function variantBytes(variant: Variant): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(sources[variant]), (c) => c.charCodeAt(0));
}

/** The compiled module of a variant; compiled once and kept, so that a second engine starts at once. */
export function compileVariant(variant: Variant): WebAssembly.Module {
  let module = compiled.get(variant);
  if (!module) {
    module = new WebAssembly.Module(variantBytes(variant));
    compiled.set(variant, module);
  }
  return module;
}

/** Whether this runtime accepts a variant's instructions. */
export function variantWorks(variant: Variant): boolean {
  if (variant.endsWith("-shared") && typeof SharedArrayBuffer === "undefined") return false;
  return WebAssembly.validate(variantBytes(variant));
}

/** The best variant this runtime accepts: relaxed SIMD where there is, shared memory where asked. */
export function pickVariant(shared: boolean): Variant {
  const relaxedVariant: Variant = shared ? "relaxed-shared" : "relaxed";
  return variantWorks(relaxedVariant) ? relaxedVariant : shared ? "simd-shared" : "simd";
}
