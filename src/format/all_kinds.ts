// All readers of models that are no GGUF file.
import { openFileSet } from "../source/file_set.ts";
import { resolveModel } from "../source/hub/resolve_model.ts";
import { openModelFile } from "./detect.ts";
import { readFolder } from "./huggingface/folder.ts";
import type { OtherKinds } from "./other_kinds.ts";

export const allKinds: OtherKinds = {
  readFile: openModelFile,
  resolve: async (name, host, options) => (await resolveModel(name, host, options))?.name ?? name,
  files: openFileSet,
  readFolder,
};
