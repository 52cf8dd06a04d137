// The forms of the dot product of bytes (assembly/simd/dot.ts), and which of them an engine computes rightly.
import * as blocks from "../../../assembly/layout/blocks.ts";
import type { KernelExports } from "../exports.gen.ts";

/** Codes of the forms that kernels have, by name. */
export const dotForms = {
  wide: blocks.DOT_WIDE,
  moved: blocks.DOT_MOVED,
  unsigned: blocks.DOT_UNSIGNED,
  signed: blocks.DOT_SIGNED,
} as const;
/** One of {@link dotForms}. */
export type DotForm = keyof typeof dotForms;

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
