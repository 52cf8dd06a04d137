// Answers each message, a model's URL and cases, with what each case computes in this worker.
import { type Bits, type BitsCase, bitsOf } from "./bits.ts";

/** A message to the worker. */
export interface BitsRequest {
  readonly model: string;
  readonly cases: readonly BitsCase[];
}

/** What the worker answers. */
export type BitsAnswer = { readonly bits: readonly Bits[] } | { readonly error: string };

async function run({ model, cases }: BitsRequest): Promise<Bits[]> {
  const bytes = new Uint8Array(await (await fetch(model)).arrayBuffer());
  const bits: Bits[] = [];
  for (const testCase of cases) bits.push(await bitsOf(bytes, testCase));
  return bits;
}

addEventListener("message", ({ data }: MessageEvent<BitsRequest>) => {
  run(data).then(
    (bits) => postMessage({ bits } satisfies BitsAnswer),
    (error) => postMessage({ error: `${error.stack}` } satisfies BitsAnswer),
  );
});
