// What quality is measured with: a text, windows of it, and what weights of 8 bits may lose.
import { readFileSync } from "node:fs";
import { story } from "./claims/story.ts";
import { sharedPath } from "./shared.ts";

/** Tokens of a window; each is scored from an empty cache. */
export const WINDOW = 256;

/** What the nll of q8 may differ from that of f32, as a share. */
export const Q8_LIMIT = 0.005;

/** The text that the embedded model's reference outputs are of; held out from its training. */
export function scoredText(): { readonly name: string; readonly text: string } {
  const path = sharedPath("models/tales/expected.json");
  if (!path) return { name: "a story of our own", text: story };
  const { nll } = JSON.parse(readFileSync(path, "utf8")) as { nll: { text: string } };
  return { name: "held-out pieces of children's books", text: nll.text };
}
