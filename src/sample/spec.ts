// What a sampler is, and what its parameters are: every list of sampling options derives from this.

import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";
import type { Candidates } from "./candidates.ts";
import type { Rng } from "./rng.ts";

interface AnyParam<Key extends string> {
  /** Name of the option. */
  readonly key: Key;
  /** Command-line flag, "--top-k". */
  readonly flag: string;
  /** Other names of the flag, known from other programs. */
  readonly aliases?: readonly string[];
  /** What help calls the flag's value, "K". */
  readonly valueName: string;
  /** One line for help. */
  readonly help: string;
  /** Field of an OpenAI-style request: of OpenAI's own, or the name that other servers gave the extension. */
  readonly openai: string;
}

/** A number that samplers take. */
export interface NumberParam<Key extends string = string> extends AnyParam<Key> {
  readonly kind: "number";
  readonly integer: boolean;
  readonly min: number;
  /** Whether `min` itself is refused. */
  readonly exclusiveMin?: boolean;
  /** Largest value; Infinity: any finite one. */
  readonly max: number;
  /** Undefined: made up for each use (the seed). */
  readonly default: number | undefined;
}

/** Anything else that samplers take: a list, a map, a text. */
export interface ValueParam<Key extends string = string> extends AnyParam<Key> {
  readonly kind: "value";
  /** What it may be, for errors: "an object of ids and numbers in [-100, 100]". */
  readonly expected: string;
  /** JSON that samplers read. */
  readonly default: unknown;
  /** A copy of a right value, in JSON; undefined for a wrong one. */
  read(value: unknown): unknown;
  /** The value that a flag's text stands for; undefined if it stands for none. */
  parse(text: string): unknown;
}

/** One option of a sampler: command-line flags, request fields and their checks derive from it. */
export type SamplingParam<Key extends string = string> = NumberParam<Key> | ValueParam<Key>;

/** What samplers may know of the vocabulary. */
export interface Vocabulary {
  /** Tokens that can be chosen. */
  readonly vocabSize: number;
  /** Ids that end a text. */
  readonly eosIds: readonly number[];
  /** Bytes of a token's text. */
  bytes(id: number): Uint8Array;
}

/** A sampler of one generation. */
export interface SamplerStage {
  /**
   * Changes, narrows or weighs the candidates for one token. It must not change the stage's state: what is drawn
   * may be thrown away.
   */
  apply(candidates: Candidates, rng: Rng): void;
  /** Takes note of a token that the generation has accepted. */
  accept?(id: number): void;
  /** The state between two tokens, in JSON; stages with {@link accept} have it. */
  save?(): unknown;
  /** Continues from what {@link save} gave. @throws UsageError for anything else */
  load?(state: unknown): void;
}

/** A kind of sampler: one file each, listed in registry.ts. */
export interface SamplerSpec<Options> {
  readonly name: string;
  readonly params: readonly SamplingParam<keyof Options & string>[];
  /** "logits": changes single logits, also before a greedy choice. "candidates": narrows or weighs them. */
  readonly acts: "logits" | "candidates";
  /** The sampler of a generation with these options; undefined if they turn it off. */
  create(options: Options, vocabulary: Vocabulary): SamplerStage | undefined;
}

/** The interval a parameter must lie in, "(0, 1]". */
export function paramInterval(param: NumberParam): string {
  const end = param.max === Infinity ? "Infinity)" : `${param.max}]`;
  return `${param.exclusiveMin ? "(" : "["}${param.min}, ${end}`;
}

/**
 * `value` as the sampler takes it.
 * @throws UsageError naming the parameter, what it may be and what it is
 */
export function checkParam(param: SamplingParam, value: unknown): unknown {
  const checked = param.kind === "number" ? readNumber(param, value) : param.read(value);
  if (checked !== undefined) return checked;
  throw new UsageError(`Cannot sample: Expected ${expectation(param)}, got ${describeValue(value)}`);
}

function readNumber(param: NumberParam, value: unknown): number | undefined {
  const valid =
    typeof value === "number" &&
    Number.isFinite(value) &&
    (param.exclusiveMin ? value > param.min : value >= param.min) &&
    value <= param.max &&
    (!param.integer || Number.isInteger(value));
  return valid ? value : undefined;
}

function expectation(param: SamplingParam): string {
  if (param.kind === "value") return `${param.key} to be ${param.expected}`;
  return `${param.integer ? `integer ${param.key}` : param.key} in ${paramInterval(param)}`;
}
