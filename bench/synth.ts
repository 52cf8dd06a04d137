// Models of TinyLlama-1.1B's shape with random weights, made once by ../shared/tools/synth-gguf.mjs.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sharedPath } from "./shared.ts";

const SHAPE = "tinyllama-1.1b";

/** Tensor types that are made. */
export const synthTypes = ["q8_0", "q4_0"] as const;

/** The path of a model of 1.1 billion weights, made now where it is not there yet; or why it cannot be had. */
export function synthModel(type: (typeof synthTypes)[number]): { path: string } | { missing: string } {
  const folder = fileURLToPath(new URL("../.cache/", import.meta.url));
  const path = `${folder}${SHAPE}-${type}.gguf`;
  if (existsSync(path)) return { path };
  const tool = sharedPath("tools/synth-gguf.mjs");
  const vocabulary = sharedPath("vocabs/llama-spm.gguf");
  if (!tool || !vocabulary) return { missing: "../shared is absent, whose tool makes the model" };
  mkdirSync(folder, { recursive: true });
  console.error(`making ${path}`);
  // A model that is half written must not be taken for a whole one later.
  const part = `${path}.part`;
  execFileSync("node", [tool, vocabulary, part, SHAPE, type], { stdio: ["ignore", "ignore", "inherit"] });
  renameSync(part, path);
  return { path };
}

if (import.meta.main) for (const type of synthTypes) console.log(type, synthModel(type));
