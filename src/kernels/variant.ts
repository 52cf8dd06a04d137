// The builds of the kernels: which there are, which a runtime accepts, and their compiled modules.
import { EngineError, MemoryError } from "../util/errors.ts";
import { sizes, text } from "./modules.gen.ts";
import { moduleBytes } from "./packed_modules.ts";

/** The four builds of the one kernel source. */
export type Variant = "simd" | "relaxed" | "simd-shared" | "relaxed-shared";

/** All variants, in the order tests and size checks go through them. */
export const variants: readonly Variant[] = ["simd", "relaxed", "simd-shared", "relaxed-shared"];

// As they are packed.
const packed: readonly Variant[] = ["relaxed-shared", "relaxed", "simd-shared", "simd"];

const compiled = new Map<Variant, WebAssembly.Module>();
// False if the runtime compiles nothing from bytes: then there are only the modules that it was given.
let compiles = true;

/** The bytes of a variant's module. */
export function variantBytes(variant: Variant): Uint8Array<ArrayBuffer> {
  return moduleBytes(text, sizes, packed.indexOf(variant));
}

/**
 * Passes modules that the runtime compiled itself, for runtimes that compile none from bytes (workerd).
 * No other variant can be used from then on.
 */
export function provideModules(modules: { readonly [V in Variant]?: WebAssembly.Module }): void {
  for (const variant of variants) {
    const module = modules[variant];
    if (module) compiled.set(variant, module);
  }
  compiles = false;
}

/**
 * The compiled module of a variant. It is compiled once and cached: a second engine starts at once.
 * @throws EngineError if the runtime refuses; MemoryError if there is no memory to unpack it
 */
export function compileVariant(variant: Variant): WebAssembly.Module {
  let module = compiled.get(variant);
  if (!module) {
    try {
      module = new WebAssembly.Module(variantBytes(variant));
    } catch (cause) {
      if (cause instanceof MemoryError) throw cause;
      throw new EngineError(`Cannot compile the kernels: ${refusalOf(cause)}`, { cause });
    }
    compiled.set(variant, module);
  }
  return module;
}

/** Whether this runtime accepts a variant's instructions. */
export function variantWorks(variant: Variant): boolean {
  if (!compiles) return compiled.has(variant);
  if (variant.endsWith("-shared") && typeof SharedArrayBuffer === "undefined") return false;
  return typeof WebAssembly !== "undefined" && WebAssembly.validate(probe(variant));
}

/** A module of one function with an instruction that is new in the variant, and of a memory like the variant's. */
function probe(variant: Variant): Uint8Array<ArrayBuffer> {
  const vector = [0x41, 0, 0xfd, 0x0f];
  // i32x4.relaxed_dot_i8x16_i7x16_add_s or v128.bitselect
  const instruction = variant.startsWith("relaxed") ? [0xfd, 0x93, 2] : [0xfd, 0xd2, 0];
  const memory = [2, 7, 1, 0, 0, 2, variant.endsWith("-shared") ? 3 : 1, 1, 1];
  return Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0],
    ...memory,
    ...[3, 2, 1, 0, 10, 20, 1, 18, 0],
    ...vector,
    ...vector,
    ...vector,
    ...instruction,
    ...[0x1a, 0x0b],
  );
}

/**
 * The best variant that this runtime compiles: with relaxed SIMD if it has that, with shared memory if `shared` and if it
 * has that. A variant that it says it accepts and then refuses is skipped. What was compiled before is not validated again.
 * @throws EngineError if it compiles none, and why; MemoryError if there is no memory to unpack one
 */
export function pickVariant(shared: boolean): Variant {
  const wanted: readonly Variant[] = shared
    ? ["relaxed-shared", "simd-shared", "relaxed", "simd"]
    : ["relaxed", "simd"];
  let refused: unknown;
  for (const variant of wanted) {
    if (!compiled.has(variant) && !variantWorks(variant)) continue;
    try {
      compileVariant(variant);
      return variant;
    } catch (error) {
      refused = error;
    }
  }
  throw refused ?? new EngineError(`Cannot compile the kernels: ${refusalOf(undefined)}`);
}

// Why a runtime compiles nothing, and what to do about it.
function refusalOf(cause: unknown): string {
  if (typeof WebAssembly === "undefined") {
    return (
      "Expected a runtime with WebAssembly, this one has none; it may be switched off, by --jitless or by a browser's " +
      "lockdown mode"
    );
  }
  if (cause === undefined) {
    return "Expected WebAssembly SIMD, which this runtime lacks; Chrome 91, Firefox 89, Safari 16.4 and later have it";
  }
  return (
    `the runtime refuses (${cause}); a page's Content-Security-Policy must have 'wasm-unsafe-eval' in script-src, and ` +
    `edge runtimes need the entry "cria/workerd"`
  );
}
