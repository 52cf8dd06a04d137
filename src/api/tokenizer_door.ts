// `Tokenizer` as "cria" exports it: who uses it has the readers of all files that models come in.
import { allKinds } from "../format/all_kinds.ts";
import { provideOtherKinds } from "../format/other_kinds.ts";
import { Tokenizer as Door } from "../tokenizer.ts";

/** Text to ids and back. */
export type Tokenizer = Door;

/** Loads tokenizers alone, from a tokenizer file or from a model file that carries one. */
export const Tokenizer: typeof Door = /* @__PURE__ */ withOtherKinds(Door);

// As in tokenizer.ts: bundlers drop the call and all it needs from a bundle in which nothing uses `Tokenizer`.
function withOtherKinds(door: typeof Door): typeof Door {
  provideOtherKinds(allKinds);
  return door;
}
