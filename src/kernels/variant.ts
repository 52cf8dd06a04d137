// The builds of the kernels: which there are, which a runtime accepts, and their compiled modules.
import { EngineError } from "../util/errors.ts";
import { textBytes } from "./module_text.ts";
import { applyPatch } from "./patch.ts";
import { patch as relaxed } from "./relaxed.gen.ts";
import { patch as relaxedShared } from "./relaxed_shared.gen.ts";
import { wasm as simd } from "./simd.gen.ts";
import { patch as simdShared } from "./simd_shared.gen.ts";

/** The four builds of the one kernel source. */
export type Variant = "simd" | "relaxed" | "simd-shared" | "relaxed-shared";

/** All variants, in the order tests and size checks go through them. */
export const variants: readonly Variant[] = ["simd", "relaxed", "simd-shared", "relaxed-shared"];

// One module is stored whole, the others as patches of a similar one.
const patches = {
  relaxed: { base: "simd", patch: relaxed },
  "simd-shared": { base: "simd", patch: simdShared },
  "relaxed-shared": { base: "relaxed", patch: relaxedShared },
} as const;

const compiled = new Map<Variant, WebAssembly.Module>();
// False if the runtime compiles nothing from bytes: then there are only the modules that it was given.
let compiles = true;

/** The bytes of a variant's module. */
export function variantBytes(variant: Variant): Uint8Array<ArrayBuffer> {
  if (variant === "simd") return textBytes(simd);
  const { base, patch } = patches[variant];
  return applyPatch(variantBytes(base), textBytes(patch));
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
 * @throws EngineError if the runtime refuses
 */
export function compileVariant(variant: Variant): WebAssembly.Module {
  let module = compiled.get(variant);
  if (!module) {
    try {
      module = new WebAssembly.Module(variantBytes(variant));
    } catch (cause) {
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
  return typeof WebAssembly !== "undefined" && WebAssembly.validate(variantBytes(variant));
}

/**
 * The best variant that this runtime compiles: with relaxed SIMD if it has that, with shared memory if `shared` and if it
 * has that. A variant that it says it accepts and then refuses is skipped. What was compiled before is not validated again.
 * @throws EngineError if it compiles none, and why
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
