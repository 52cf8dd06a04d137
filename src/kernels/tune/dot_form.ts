// The forms of the dot product of bytes (assembly/simd/dot.ts), and which of them an engine computes rightly.
import * as blocks from "../../../assembly/layout/blocks.ts";
import type { KernelExports } from "../exports.gen.ts";

/** A form of the dot product. */
export type DotForm = "wide" | "moved" | "unsigned" | "signed";

/** Codes of the forms that kernels have. */
export const dotForms: Readonly<Record<DotForm, number>> = {
  wide: blocks.DOT_WIDE,
  moved: blocks.DOT_MOVED,
  unsigned: blocks.DOT_UNSIGNED,
  signed: blocks.DOT_SIGNED,
};

/**
 * The forms that give right results in the engine that runs these kernels, the engine's own last: "wide" everywhere, "moved"
 * in every build with relaxed SIMD, and the form of the engine's own instruction.
 */
export function exactForms(kernels: Pick<KernelExports, "dot_form">): readonly DotForm[] {
  const own = kernels.dot_form();
  const names = Object.keys(dotForms) as DotForm[];
  return names.filter((name) => {
    const form = dotForms[name];
    return form === blocks.DOT_WIDE || form === own || (form === blocks.DOT_MOVED && own !== blocks.DOT_WIDE);
  });
}
