// The file that is chosen when a model is named by its repository only.
import { detectRuntime } from "../runtime/detect.ts";
import { type ResolveOptions, resolveModel } from "../source/hub/resolve_model.ts";
import { sizeText } from "../util/bytes.ts";
import { oneLine } from "./flags/args.ts";
import { writeErr } from "./terminal/output.ts";

/** A model to load. */
export interface ChosenModel {
  /** What to open. */
  readonly name: string;
  /** What was chosen, and how large it is, on one line. */
  readonly text: string;
}

/**
 * The file or folder that `hf:owner/repo` or `hf:owner/repo:TYPE` stands for; undefined if `model` says it itself.
 * @throws what resolveModel throws
 */
export async function chooseModel(
  model: string | undefined,
  options: ResolveOptions,
): Promise<ChosenModel | undefined> {
  const chosen = await resolveModel(model, detectRuntime(), options);
  return chosen && { name: chosen.name, text: oneLine(`${chosen.name} (${sizeText(chosen.size)})`) };
}

/** What to open as the input of a command that writes a model. What is chosen of a repository is printed. */
export async function inputModel(model: string, signal: AbortSignal): Promise<string> {
  const chosen = await chooseModel(model, { signal });
  if (chosen) await writeErr(`model: ${chosen.text}\n`);
  return chosen?.name ?? model;
}
