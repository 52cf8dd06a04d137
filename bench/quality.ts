// How quality is measured: a text, the size of its windows, and the loss that 8-bit weights may have.
import { readFileSync } from "node:fs";
import { story } from "./claims/story.ts";
import { sharedPath } from "./shared.ts";

/** Tokens of a window; each is scored from an empty cache. */
export const WINDOW = 256;

/** Largest difference of q8's nll from f32's, as a share of the latter. */
export const Q8_LIMIT = 0.005;

/** The text of the embedded model's reference outputs; it was held out from training. */
export function scoredText(): { readonly name: string; readonly text: string } {
  const path = sharedPath("models/tales/expected.json");
  if (!path) return { name: "a story of our own", text: story };
  const { nll } = JSON.parse(readFileSync(path, "utf8")) as { nll: { text: string } };
  return { name: "held-out pieces of children's books", text: nll.text };
}
