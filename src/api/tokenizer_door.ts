// `Tokenizer` as "cria" exports it: who uses it has the readers of all files that Hugging Face's models have.
import { provideFolderKind } from "../format/folder_kind.ts";
import { huggingFaceFolder } from "../format/huggingface/folder.ts";
import { Tokenizer as Door } from "../tokenizer.ts";

/** Text to ids and back. */
export type Tokenizer = Door;

/** Loads tokenizers alone, from a tokenizer file or from a model file that carries one. */
export const Tokenizer: typeof Door = /* @__PURE__ */ withFolderKind(Door);

// As in tokenizer.ts: bundlers drop the call and all it needs from a bundle in which nothing uses `Tokenizer`.
function withFolderKind(door: typeof Door): typeof Door {
  provideFolderKind(huggingFaceFolder);
  return door;
}
