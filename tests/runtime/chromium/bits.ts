// What one configuration of the engine computes, as hashes: the same code runs in a page's worker and here.
import type { LoadOptions } from "../../../src/mod.ts";
import { Llama } from "../../../src/mod.ts";
import { allLogits, engineOf, someIds } from "../../support/models.ts";

/** Ids whose logits are hashed; tests/golden/logits.json was made with as many. */
const LOGITS = 80;

/** What is computed: everything but the model. */
export interface BitsCase extends Pick<LoadOptions, "precision" | "kv" | "kernel" | "threads" | "tune"> {
  readonly vocabSize: number;
  readonly prompt: string;
}

/** What came of it. */
export interface Bits {
  /** What `Llama.load` says it runs with. */
  readonly kernel: string;
  readonly threads: number;
  /** SHA-256 of the logits after each of {@link LOGITS} ids. */
  readonly logits: string;
  /** Ids of the greedy continuation of the prompt, and its text. */
  readonly ids: readonly number[];
  readonly text: string;
}

async function hash(rows: readonly Float32Array<ArrayBuffer>[]): Promise<string> {
  const bytes = await new Blob([...rows]).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Runs one case over a model file. */
export async function bitsOf(model: Uint8Array, testCase: BitsCase): Promise<Bits> {
  const { vocabSize, prompt, ...options } = testCase;
  const engine = await engineOf(model, { ...options, contextLength: 128 });
  const rows = await allLogits(engine, someIds(LOGITS, vocabSize), [7, 1, 1, 32]);
  engine.retire(new Error("done"));
  await using llama = await Llama.load(model, options);
  const { ids, text } = await llama.complete(prompt, { temperature: 0, maxTokens: 24 });
  const { kernel, threads } = llama;
  return {
    kernel: kernel.variant,
    threads,
    logits: await hash(rows as Float32Array<ArrayBuffer>[]),
    ids,
    text,
  };
}
