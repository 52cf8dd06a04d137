// Makes models of real shapes with random weights, once: with the tool ../shared/tools/synth-gguf.mjs (see shared.ts), and
// those of several tensor types from the tool's, with bench/synth/.
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sharedPath } from "./shared.ts";
import type { ExpertShape } from "./synth/experts.ts";
import { familyHeader, familyShapes } from "./synth/families.ts";
import { type MixName, mixes } from "./synth/mixes.ts";
import { writeMix, writeWeights } from "./synth/write.ts";

/** Tensor types of the tool's models. All their matrices have one type. */
export const synthTypes = ["q8_0", "q4_0"] as const;

/** Models of several tensor types, named as files that people download. Q4_0 with an output matrix of Q6_K is native's Q4_0. */
export const mixTypes = (Object.keys(mixes) as MixName[]).filter((name) => name !== "q8_0");

/** Shapes of these models, with the context length of each: the tool's own, or a longer one for measuring. */
export const synthShapes = {
  "tinyllama-1.1b": 4096,
  stories15m: 1024,
  stories110m: 4096,
  "tinyllama-8x": 4096,
  "gemma3-1b": familyShapes["gemma3-1b"].contextLength,
  "qwen3-0.6b": familyShapes["qwen3-0.6b"].contextLength,
} as const;

// Shapes with experts: what differs from a shape of the tool. All of one has to fit one memory.
const expertShapes: Partial<Record<SynthShape, { base: SynthShape; experts: ExpertShape }>> = {
  "tinyllama-8x": {
    base: "tinyllama-1.1b",
    experts: { nLayers: 16, hidden: 1536, experts: 8, used: 2 },
  },
};

/** A type of these models: the tool's, or a mix of types as native's quantizer makes it. */
export type SynthType = (typeof synthTypes)[number] | MixName;
export type SynthShape = keyof typeof synthShapes;

// The context length lies within this many bytes of the beginning of a file.
const HEADER_BYTES = 8 << 20;
const CONTEXT_KEY = "llama.context_length";
const U32 = 4;

// Changes the context length in a file's metadata, in place.
function setContext(path: string, contextLength: number): void {
  const file = openSync(path, "r+");
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const bytes = readSync(file, header, 0, header.length, 0);
    const key = header.subarray(0, bytes).indexOf(CONTEXT_KEY);
    const at = key + CONTEXT_KEY.length;
    if (key < 0 || header.readUInt32LE(at) !== U32)
      throw new Error(`Expected ${CONTEXT_KEY} in the header of ${path}, got none`);
    if (header.readUInt32LE(at + 4) === contextLength) return;
    header.writeUInt32LE(contextLength, at + 4);
    writeSync(file, header, at + 4, 4, at + 4);
  } finally {
    closeSync(file);
  }
}

function isMix(type: SynthType): type is Exclude<MixName, "q8_0"> {
  return (mixTypes as readonly string[]).includes(type);
}

// Runs the tool. Returns why it cannot, or undefined if the file is there.
function makeWithTool(type: SynthType, shape: SynthShape, path: string): string | undefined {
  const tool = sharedPath("tools/synth-gguf.mjs");
  const vocabulary = sharedPath("vocabs/llama-spm.gguf");
  if (!tool || !vocabulary) return "the tool that makes it is in ../shared, which is absent";
  // Renamed when it is complete: an unfinished file must not be used later.
  const part = `${path}.part`;
  execFileSync("node", [tool, vocabulary, part, shape, type], { stdio: ["ignore", "ignore", "inherit"] });
  renameSync(part, path);
  return undefined;
}

// Makes a mix with the metadata and shapes of the tool's file.
function makeMix(mix: MixName, shape: SynthShape, path: string): string | undefined {
  const { base: from = shape, experts } = expertShapes[shape] ?? {};
  const base = synthModel("q4_0", from);
  if ("missing" in base) return base.missing;
  writeMix(mix, base.path, path, experts);
  return undefined;
}

function isFamily(shape: SynthShape): shape is keyof typeof familyShapes {
  return shape in familyShapes;
}

function make(type: SynthType, shape: SynthShape, path: string): string | undefined {
  if (isFamily(shape)) {
    if (type === "q4_0") throw new Error(`Cannot make ${shape} in ${type}: Expected q8_0 or a mix`);
    writeWeights(type, familyHeader(familyShapes[shape]), path);
    return undefined;
  }
  if (isMix(type)) return makeMix(type, shape, path);
  if (!expertShapes[shape]) return makeWithTool(type, shape, path);
  if (type === "q8_0") return makeMix(type, shape, path);
  throw new Error(`Cannot make ${shape} in ${type}: Expected q8_0 or a mix`);
}

/** The path of a model of random weights, which it makes if it does not exist yet; or the reason why it cannot. */
export function synthModel(
  type: SynthType,
  shape: SynthShape = "tinyllama-1.1b",
): { path: string } | { missing: string } {
  const folder = fileURLToPath(new URL("../.cache/", import.meta.url));
  const path = `${folder}${shape}-${type}.gguf`;
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    console.error(`making ${path}`);
    const missing = make(type, shape, path);
    if (missing) return { missing };
  }
  if (!isFamily(shape)) setContext(path, synthShapes[shape]);
  return { path };
}

if (import.meta.main) {
  for (const type of [...synthTypes, ...mixTypes]) console.log(type, synthModel(type));
}
