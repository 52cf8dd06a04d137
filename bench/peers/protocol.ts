// The protocol of peers: a line of JSON for each call and each answer, over standard input and output.

/** How to load a model. */
export interface LoadRequest {
  readonly file: string;
  readonly threads: number;
  readonly contextLength: number;
  readonly kv: "f16" | "q8";
  /** Whether weights are f32 in memory; otherwise they have the file's type. */
  readonly f32: boolean;
}

/** A text to score with weights of a precision. */
export interface NllRequest {
  readonly file: string;
  readonly precision: "f32" | "q8";
  readonly text: string;
  /** Tokens of a window, each from an empty cache. */
  readonly window: number;
}

/** What a peer occupies; undefined if that is not known. */
export interface Memory {
  /** Most resident bytes of the process so far; of a browser, those of the page's process. */
  readonly peakBytes?: number | undefined;
  /** Bytes of cria's linear memory. */
  readonly linearBytes?: number | undefined;
}

/** The calls of a peer. `decode` fills the positions before `position` in the first call that needs them. */
export interface Peer {
  /** Name and version. */
  about(): Promise<{ readonly version: string }>;
  /** Loads a model. Returns the milliseconds until it can compute its first token. */
  load(request: LoadRequest): Promise<{ readonly ms: number; readonly threads: number }>;
  /** Milliseconds of `tokens` tokens in an empty context, with the logits of the last. The peer `memory` has none. */
  prefill?(request: { readonly tokens: number }): Promise<{ readonly ms: number }>;
  /** Decodes `tokens` tokens greedily from a position on. Returns the median milliseconds of a token. */
  decode(request: { readonly tokens: number; readonly position: number }): Promise<{ readonly ms: number }>;
  memory(): Promise<Memory>;
  /** Mean negative log-likelihood of a token, in nats. Only cria has it. The loaded model stays loaded. */
  nll?(request: NllRequest): Promise<{ readonly nll: number }>;
}

/** A line to a peer. */
export interface Call {
  readonly op: keyof Peer;
  readonly request?: unknown;
}

/** A line from a peer. */
export type Answer = { readonly ok: object } | { readonly error: string };

/** Answers begin with this mark, because libraries may print other lines. */
export const ANSWER_MARK = "peer> ";

/** Answers one call. */
export async function answer(peer: Peer, { op, request }: Call): Promise<Answer> {
  try {
    const run = peer[op] as ((request: unknown) => Promise<object>) | undefined;
    if (!run) throw new Error(`this peer has no ${op}`);
    return { ok: await run.call(peer, request) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Prompt ids, the same for every peer. They are spread over the vocabulary, after control and byte tokens. */
export function promptIds(n: number, vocabSize: number): number[] {
  const first = Math.min(300, vocabSize >> 1);
  return Array.from({ length: n }, (_, i) => first + ((i * 7919) % (vocabSize - first)));
}
