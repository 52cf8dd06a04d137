// The architectures that cria knows: one line for each.
import type { ModelFile } from "../../format/model_file.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { nearestName } from "../../util/nearest.ts";
import { cohere2, commandR } from "./families/cohere.ts";
import { deepseek2 } from "./families/deepseek.ts";
import { exaone, exaone4 } from "./families/exaone.ts";
import { gemma, gemma2, gemma3 } from "./families/gemma.ts";
import { glm4 } from "./families/glm.ts";
import { falcon, gpt2, gptneox, starcoder2 } from "./families/gpt.ts";
import { gptOss } from "./families/gpt_oss.ts";
import { granite, granitemoe, minicpm } from "./families/granite.ts";
import { hunyuanDense } from "./families/hunyuan.ts";
import { lfm2 } from "./families/lfm2.ts";
import { ernie4_5, internlm2, llama, mistral3 } from "./families/llama.ts";
import { olmo, olmo2, olmoe } from "./families/olmo.ts";
import { phi2, phi3 } from "./families/phi.ts";
import { qwen2, qwen2moe, qwen3, qwen3moe } from "./families/qwen.ts";
import { qwen35 } from "./families/qwen35.ts";
import { seedOss } from "./families/seed_oss.ts";
import { smollm3 } from "./families/smollm.ts";
import { arcee, nemotron } from "./families/squared_relu.ts";
import { stablelm } from "./families/stablelm.ts";
import type { Architecture } from "./spec.ts";

export const architectures = [
  llama, //
  arcee,
  cohere2,
  commandR,
  deepseek2,
  ernie4_5,
  exaone,
  exaone4,
  falcon,
  gemma,
  gemma2,
  gemma3,
  glm4,
  gpt2,
  gptneox,
  gptOss,
  granite,
  granitemoe,
  hunyuanDense,
  internlm2,
  lfm2,
  minicpm,
  mistral3,
  nemotron,
  olmo,
  olmo2,
  olmoe,
  phi2,
  phi3,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  qwen35,
  seedOss,
  smollm3,
  stablelm,
  starcoder2,
] as readonly Architecture[];

/**
 * The architecture of a file.
 * @throws FormatError if the file names none; UnsupportedError that lists the known ones
 */
export function architectureOf(file: ModelFile, known: readonly Architecture[]): Architecture {
  const { architecture: name, source } = file;
  if (name === "") {
    throw new FormatError(`Cannot load ${source.name}: Expected metadata key general.architecture, got none`);
  }
  const found = known.find((architecture) => architecture.name === name);
  if (found) return found;
  const names = known.map((each) => each.name);
  const near = nearestName(name, names);
  throw new UnsupportedError(
    `Cannot load ${source.name}: Unsupported architecture ${quoted(name)}; supported: ${names.join(", ")}${near ? `; the nearest: ${near}` : ""}`,
  );
}
