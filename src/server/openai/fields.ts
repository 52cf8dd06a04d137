// Fields that all routes that generate share: sampling, lengths, stops, and those that nothing here can do.
import * as v from "valibot";
import { type SamplingOptions, samplingParams } from "../../sample/registry.ts";
import { checkParam } from "../../sample/spec.ts";
import type { Fields } from "../http/body.ts";
import { badRequest } from "../http/errors.ts";
import { boolean, integer, text, unsupported, wrong } from "./check.ts";

/** Most stop strings, and choices, as OpenAI has them. */
const MAX_STOPS = 4;
const MAX_CHOICES = 128;
/** Longest stop string: every end of the text is compared with all of them. */
const MAX_STOP_CHARS = 1024;

const stop = v.pipe(
  text,
  v.nonEmpty("a text of at least one character"),
  v.check((one) => one.isWellFormed(), "a text without half characters"),
  v.maxLength(MAX_STOP_CHARS, `a text of at most ${MAX_STOP_CHARS} characters`),
);
const stops = v.pipe(
  v.array(stop, "a text or an array of texts"),
  v.maxLength(MAX_STOPS, `at most ${MAX_STOPS} texts`),
);

/** Schemas of fields that completions and chat completions share. */
export const commonFields = {
  model: v.optional(text),
  n: v.optional(integer(1, MAX_CHOICES)),
  stop: v.optional(
    v.lazy((input) =>
      typeof input === "string"
        ? v.pipe(
            stop,
            v.transform((one) => [one]),
          )
        : stops,
    ),
  ),
  stream: v.optional(boolean),
  stream_options: v.optional(
    v.object({ include_usage: v.nullish(boolean) }, "an object such as {include_usage: true}"),
  ),
  max_tokens: v.optional(integer(0)),
};

/**
 * Whether a stream shall end with how many tokens there were.
 * @throws HttpError 400 if there is no stream
 */
export function includesUsage(asked: {
  readonly stream?: boolean | undefined;
  readonly stream_options?: { readonly include_usage?: boolean | null | undefined } | undefined;
}): boolean {
  const { stream = false, stream_options: options } = asked;
  if (options && !stream) throw wrong("stream_options", "stream_options", "beside stream: true", options);
  return options?.include_usage ?? false;
}

// Narrower than samplers need, as OpenAI has it.
const narrower: Readonly<Record<string, readonly [number, number]>> = {
  temperature: [0, 2],
  frequency_penalty: [-2, 2],
  presence_penalty: [-2, 2],
};

/**
 * Sampling options of a request: the samplers' own fields.
 * @throws HttpError 400
 */
export function samplingOf(fields: Fields): SamplingOptions {
  const options: Record<string, unknown> = {};
  for (const param of samplingParams) {
    const name = param.openai;
    if (!Object.hasOwn(fields, name)) continue;
    // vLLM's word for no limit.
    const value = name === "top_k" && fields[name] === -1 ? 0 : fields[name];
    if (name === "seed") {
      options[param.key] = seedOf(value);
      continue;
    }
    const [min, max] = narrower[name] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    if (typeof value === "number" && !(value >= min && value <= max)) {
      throw wrong(name, name, `a number in [${min}, ${max}]`, value);
    }
    try {
      // Errors name the field.
      options[param.key] = checkParam({ ...param, key: name }, value);
    } catch (error) {
      throw badRequest(name, (error as Error).message, "invalid_value");
    }
  }
  return options;
}

// Clients send any 64-bit integer. Those beyond what samplers take are folded into it, always in the same way.
function seedOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw wrong("seed", "seed", "an integer", value);
  return Number.isSafeInteger(value) && value >= 0 ? value : Number(BigInt.asUintN(53, BigInt(value)));
}

const isOff = (value: unknown) => value === undefined || value === false || value === 0;
const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0;
const isText = (value: unknown) => (value as { type?: unknown } | undefined)?.type === "text";

// Fields that would change the answer and are not done, and what of them asks for nothing.
const notDone: Readonly<Record<string, (value: unknown, fields: Fields) => boolean>> = {
  // OpenAI's.
  audio: isOff,
  best_of: (value) => value === 1,
  function_call: (value) => value === "none",
  functions: isEmpty,
  modalities: (value) => Array.isArray(value) && value.every((kind) => kind === "text"),
  moderation: isOff,
  suffix: (value) => value === "",
  web_search_options: isOff,
  // Of llama-server and vLLM.
  add_generation_prompt: (value) => value === true,
  allowed_token_ids: isEmpty,
  bad_words: isEmpty,
  chat_template: () => false,
  continue_final_message: isOff,
  documents: isEmpty,
  dry_multiplier: isOff,
  dynatemp_range: isOff,
  grammar: (value) => value === "",
  guided_choice: isOff,
  guided_grammar: isOff,
  guided_json: isOff,
  guided_regex: isOff,
  ignore_eos: isOff,
  include_stop_str_in_output: isOff,
  json_schema: isOff,
  length_penalty: (value) => value === 1,
  lora: isEmpty,
  min_tokens: isOff,
  mirostat: isOff,
  n_predict: () => false,
  n_probs: isOff,
  post_sampling_probs: isOff,
  prompt_logprobs: isOff,
  regex: isOff,
  // The window of repeat_penalty.
  repeat_last_n: (value, { repeat_penalty: penalty = 1 }) => value === 64 || penalty === 1,
  repetition_penalty: (value) => value === 1,
  return_tokens_as_token_ids: isOff,
  samplers: isOff,
  skip_special_tokens: (value) => value === true,
  stop_token_ids: isEmpty,
  structured_outputs: isOff,
  truncate_prompt_tokens: isOff,
  top_n_sigma: (value) => isOff(value) || value === -1,
  typical_p: (value) => value === 1,
  use_beam_search: isOff,
  xtc_probability: isOff,
};

const samplingFields = new Set(samplingParams.map(({ openai }) => openai));

/**
 * Refuses what would change the answer and cannot be done; other fields that nobody knows are passed over.
 * @param misplaced fields that mean something to other routes, and what they are called at this one
 * @throws HttpError 400
 */
export function refuseNotDone(fields: Fields, misplaced: Readonly<Record<string, string>> = {}): void {
  for (const [name, other] of Object.entries(misplaced)) {
    if (Object.hasOwn(fields, name)) throw unsupported(name, `Expected ${other}, got ${name}`);
  }
  for (const [name, asksNothing] of Object.entries(notDone)) {
    if (!Object.hasOwn(fields, name) || samplingFields.has(name) || asksNothing(fields[name], fields))
      continue;
    throw unsupported(name, `Expected no ${name}: it is not supported yet`);
  }
  const { response_format: format } = fields;
  if (format === undefined || isText(format)) return;
  const { type } = Object(format) as { type?: unknown };
  if (type === "json_object" || type === "json_schema") {
    throw unsupported(
      "response_format",
      `Expected response_format {"type": "text"}: ${type} is not supported yet, and would not be kept to`,
    );
  }
  throw wrong("response_format", "response_format.type", "text", type);
}
