// What tests of the network run in a page: loads a model in every way that a page may have its bytes.
import { Llama, type LoadOptions } from "../../../src/mod.ts";

/** What to load, and how the page gets it. */
export interface PageLoad {
  readonly url: string;
  readonly as: "url" | "request" | "response" | "copy" | "buffer" | "stream" | "opaque";
  readonly options?: Pick<LoadOptions, "cache" | "sha256">;
}

/** Logits, or why there are none. */
export type PageAnswer = { readonly logits: number[] } | { readonly error: string; readonly name: string };

async function sourceOf({ url, as }: PageLoad) {
  if (as === "url") return url;
  if (as === "request") return new Request(url);
  if (as === "opaque") return fetch(url, { mode: "no-cors" });
  const response = await fetch(url);
  if (as === "copy") return new Response(response.body, { headers: response.headers });
  if (as === "buffer") return response.arrayBuffer();
  return as === "stream" ? (response.body as ReadableStream<Uint8Array>) : response;
}

/** Loads a model and computes with it. */
export async function answerOf(load: PageLoad): Promise<PageAnswer> {
  try {
    const options = { threads: 1, http: { retryMs: 1 }, ...load.options };
    const llama = await Llama.load(await sourceOf(load), options);
    try {
      return { logits: [...(await llama.logits([1, 5, 9]))] };
    } finally {
      llama.dispose();
    }
  } catch (error) {
    const { message, name } = error as Error;
    return { error: message, name };
  }
}

Object.assign(globalThis, { answerOf });
