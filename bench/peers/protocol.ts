// What every peer is asked, a line of JSON each way over standard input and output.

/** How a model is to be loaded. */
export interface LoadRequest {
  readonly file: string;
  readonly threads: number;
  readonly contextLength: number;
  readonly kv: "f16" | "q8";
  /** Weights as f32 in memory; else as the file has them. */
  readonly f32: boolean;
}

/** A text to be scored with weights of a precision. */
export interface NllRequest {
  readonly file: string;
  readonly precision: "f32" | "q8";
  readonly text: string;
  /** Tokens of a window, each from an empty cache. */
  readonly window: number;
}

/** What a peer can do. Positions before `position` are filled on the first call that needs them. */
export interface Peer {
  /** Name and version. */
  about(): Promise<{ readonly version: string }>;
  /** Loads a model; milliseconds until the first token could be computed. */
  load(request: LoadRequest): Promise<{ readonly ms: number; readonly threads: number }>;
  /** Milliseconds that `tokens` tokens take in an empty context, with the logits of the last; not of memory. */
  prefill?(request: { readonly tokens: number }): Promise<{ readonly ms: number }>;
  /** Milliseconds of a token, the median of `tokens` decoded greedily from a position on. */
  decode(request: { readonly tokens: number; readonly position: number }): Promise<{ readonly ms: number }>;
  /** The most resident bytes that the process had so far; undefined where nobody says. */
  memory(): Promise<{ readonly peakBytes?: number | undefined }>;
  /** Mean negative log-likelihood of a token, in nats; of cria alone. The model that was loaded stays. */
  nll?(request: NllRequest): Promise<{ readonly nll: number }>;
}

/** A line to a peer. */
export interface Call {
  readonly op: keyof Peer;
  readonly request?: unknown;
}

/** A line from a peer. */
export type Answer = { readonly ok: object } | { readonly error: string };

/** Lines that are answers begin so: libraries print what they like. */
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

/** Prompt ids, the same for every peer: spread over the vocabulary behind control and byte tokens. */
export function promptIds(n: number, vocabSize: number): number[] {
  const first = Math.min(300, vocabSize >> 1);
  return Array.from({ length: n }, (_, i) => first + ((i * 7919) % (vocabSize - first)));
}
