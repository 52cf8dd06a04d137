// Files of tests/fixtures/, which `bun scripts/fixtures.ts` writes: small models and vocabularies of our own, and what
// the slow references of tests/reference/ say of them.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../fixtures/", import.meta.url);

/** The path of a fixture. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(name, root));
}

/** The bytes of a fixture. */
export function fixtureBytes(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fixturePath(name)));
}

/** The parsed JSON of a fixture. */
export function fixtureJson<T>(name: string): T {
  return JSON.parse(readFileSync(fixturePath(name), "utf8"));
}

/** ids.json: the ids of each text with each vocabulary, without BOS. */
export interface FixtureIds {
  readonly texts: readonly string[];
  readonly vocabularies: Readonly<
    Record<"bpe" | "unigram" | "ranks" | "gpt2", readonly (readonly number[])[]>
  >;
}

/** ids.json. */
export function fixtureIds(): FixtureIds {
  return fixtureJson("ids.json");
}

/** What a model makes of a prompt, as tests of whole models compare it. */
export interface ModelCase {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
  readonly ended_by_eos: boolean;
  readonly top5: readonly { readonly id: number; readonly logit: number }[];
}

/** models.json and tales.json: what the f64 reference computes with the weights of a file. */
export interface ModelFacts {
  readonly cases: readonly ModelCase[];
  /** Mean negative log-likelihood of a text that fits into one window. */
  readonly nll: {
    readonly text: string;
    readonly window: number;
    readonly tokens_scored: number;
    readonly mean_nll: number;
  };
}
