// The prompts of a completion: texts or ids, one or several.
import { describeValue } from "../../util/describe.ts";
import { badRequest } from "../http/errors.ts";
import type { JobPrompt, ModelFacts } from "../model.ts";
import { wrong } from "./check.ts";

/** Most prompts of one request. */
const MAX_PROMPTS = 128;

/**
 * The prompts that a field stands for.
 * @param param the field's name
 * @throws HttpError 400
 */
export function promptsOf(prompt: unknown, facts: ModelFacts, param = "prompt"): readonly JobPrompt[] {
  if (typeof prompt === "string") return [{ text: prompt }];
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw wrong(param, param, "a text, an array of texts, or token ids", prompt);
  }
  if (prompt.every((id) => typeof id === "number")) return [{ ids: idsOf(prompt, param, facts) }];
  if (prompt.length > MAX_PROMPTS) {
    throw badRequest(
      param,
      `Cannot answer: Expected at most ${MAX_PROMPTS} prompts, got ${prompt.length}`,
      "invalid_value",
    );
  }
  return prompt.map((one, i) => {
    if (typeof one === "string") return { text: one };
    const path = `${param}[${i}]`;
    if (Array.isArray(one) && one.length > 0) return { ids: idsOf(one, path, facts) };
    throw wrong(param, path, "a text or an array of token ids", one);
  });
}

/** @throws HttpError 400 if an id is none of the vocabulary's */
export function idsOf(ids: readonly unknown[], path: string, { vocabSize }: ModelFacts): readonly number[] {
  const at = ids.findIndex(
    (id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize,
  );
  if (at < 0) return ids as readonly number[];
  const param = path.replace(/\[.*/, "");
  throw badRequest(
    param,
    `Cannot answer: Expected ${path}[${at}] to be a token id in [0, ${vocabSize - 1}], got ${describeValue(ids[at])}`,
    "invalid_value",
  );
}
