// Answers each message, a model's URL and options, with what conversations come to that are held at once in this worker.
import type { LoadOptions } from "../../../src/mod.ts";
import { holdAll, type Talks } from "./conversations.ts";

/** A message to the worker. */
export interface TalksRequest {
  readonly model: string;
  readonly options: LoadOptions;
}

/** What the worker answers. */
export type TalksAnswer = { readonly talks: Talks } | { readonly error: string };

async function run({ model, options }: TalksRequest): Promise<Talks> {
  const bytes = new Uint8Array(await (await fetch(model)).arrayBuffer());
  return holdAll(bytes, true, options);
}

addEventListener("message", ({ data }: MessageEvent<TalksRequest>) => {
  run(data).then(
    (talks) => postMessage({ talks } satisfies TalksAnswer),
    (error) => postMessage({ error: `${error.stack}` } satisfies TalksAnswer),
  );
});
