// What is measured: groups of peers that share a file, and the ratios that are made of their times.
import { sharedPath } from "../shared.ts";
import { type SynthShape, type SynthType, synthModel } from "../synth.ts";
import type { PeerName } from "./peer_process.ts";

/** A measurement of a peer in milliseconds. */
export type Timed = "decode" | "prefill" | "load";
/** A measurement of a peer; memory is in bytes. */
export type Metric = Timed | "memory";

/** Columns of the table. */
export const columns = ["deno", "bun", "chromium"] as const;
export type Column = (typeof columns)[number];

/** A ratio to a target. */
export interface Row {
  readonly title: string;
  readonly metric: Metric;
  /** What is compared instead of cria with all threads. */
  readonly of?: "memory";
  /** What it is compared to: another peer, cria with one thread, a recorded rate, or the bytes that cria needs. */
  readonly to:
    | "native"
    | "wllama"
    | "memory"
    | "one thread"
    | "file + KV cache"
    | { readonly tokensPerS: number };
  /** Whether the ratio is to be at least or at most the target. */
  readonly bound: "≥" | "≤";
  readonly targets: Readonly<Partial<Record<Column, number>>>;
}

/** Peers that load one file and take turns. */
export interface Group {
  readonly name: string;
  readonly title: string;
  readonly file: () => { path: string } | { missing: string };
  readonly peers: readonly PeerName[];
  /** Peers that are there a second time, with one thread. */
  readonly single: readonly PeerName[];
  readonly threads: number;
  readonly contextLength: number;
  readonly kv: "f16" | "q8";
  readonly f32: boolean;
  /** Bytes of keys and values of the whole context. */
  readonly kvBytes?: number;
  readonly decode: { readonly tokens: number; readonly position: number };
  /** Tokens of a prompt; 0 for no prefill. */
  readonly prefill: number;
  /** Loads of which the median is taken; the last one stays. */
  readonly loads: number;
  readonly rows: readonly Row[];
}

const PROMPT = 128;
const ALL: readonly PeerName[] = ["native", "deno", "bun", "chromium", "wllama"];
const WITHOUT_WLLAMA: readonly PeerName[] = ["native", "deno", "bun", "chromium"];
const SERVERS: readonly PeerName[] = ["deno", "bun"];
// A turn of decoding is short, so that the peers of a round run within seconds of one another.
const TURN = 12;

// TinyLlama-1.1B: keys and values of 22 layers, 4 heads of 64, two bytes each.
const LARGE_CONTEXT = 2048;
const LARGE_KV_BYTES = 2 * 22 * 4 * 64 * 2 * LARGE_CONTEXT;

const base = { threads: 2, kv: "f16", f32: false, single: [], loads: 1 } as const;

function synth(type: SynthType, shape: SynthShape) {
  return () => synthModel(type, shape);
}

function atLeast(title: string, metric: Metric, to: Row["to"], targets: Row["targets"]): Row {
  return { title, metric, to, bound: "≥", targets };
}

function atMost(title: string, metric: Metric, to: Row["to"], targets: Row["targets"]): Row {
  return { title, metric, to, bound: "≤", targets };
}

const large = {
  ...base,
  peers: ALL,
  contextLength: LARGE_CONTEXT,
  decode: { tokens: TURN, position: PROMPT },
  prefill: PROMPT,
} as const;

/** All groups, in the order in which they are measured. */
export const groups: readonly Group[] = [
  {
    ...large,
    name: "q8",
    title: "1.1B shape, Q8_0",
    file: synth("q8_0", "tinyllama-1.1b"),
    peers: [...ALL, "memory"],
    single: [...SERVERS, "memory"],
    kvBytes: LARGE_KV_BYTES,
    loads: 5,
    rows: [
      atLeast("decode, 1.1B Q8_0, ÷ native", "decode", "native", { deno: 0.95, bun: 0.8, chromium: 0.9 }),
      atLeast("prefill 128 tokens, 1.1B Q8_0, ÷ native", "prefill", "native", {
        deno: 0.45,
        bun: 0.25,
        chromium: 0.4,
      }),
      atLeast("decode, 1.1B Q8_0, ÷ wllama", "decode", "wllama", { chromium: 3.5 }),
      atLeast("prefill 128 tokens, 1.1B Q8_0, ÷ wllama", "prefill", "wllama", { chromium: 8 }),
      atLeast("decode, 1.1B Q8_0, ÷ two threads that only read the weights", "decode", "memory", {}),
      atLeast("two threads ÷ one, decode 1.1B Q8_0", "decode", "one thread", { deno: 1.8, bun: 1.7 }),
      {
        ...atLeast(
          "two threads that only read ÷ one that decodes: the most of that",
          "decode",
          "one thread",
          {},
        ),
        of: "memory",
      },
      atLeast("two threads ÷ one, prefill 1.1B Q8_0", "prefill", "one thread", { deno: 1.8, bun: 1.7 }),
      atMost("load 1.17 GB Q8_0, warm file cache, ÷ native", "load", "native", { deno: 3, bun: 3 }),
      atMost("peak memory ÷ (file + KV cache), 1.1B Q8_0", "memory", "file + KV cache", {
        deno: 1.15,
        bun: 1.2,
      }),
    ],
  },
  {
    ...large,
    name: "q4",
    title: "1.1B shape, Q4_0",
    file: synth("q4_0", "tinyllama-1.1b"),
    rows: [
      atLeast("decode, 1.1B Q4_0, ÷ native", "decode", "native", { deno: 0.9, bun: 0.75, chromium: 0.85 }),
      atLeast("prefill 128 tokens, 1.1B Q4_0, ÷ native", "prefill", "native", {
        deno: 0.35,
        bun: 0.2,
        chromium: 0.33,
      }),
      atLeast("decode, 1.1B Q4_0, ÷ wllama", "decode", "wllama", { chromium: 3.5 }),
      atLeast("prefill 128 tokens, 1.1B Q4_0, ÷ wllama", "prefill", "wllama", { chromium: 8 }),
    ],
  },
  {
    ...base,
    name: "15m",
    title: "15M shape, Q8_0",
    file: synth("q8_0", "stories15m"),
    peers: ALL,
    contextLength: 512,
    decode: { tokens: 64, position: PROMPT },
    prefill: PROMPT,
    rows: [
      atLeast("decode, 15M Q8_0, ÷ native", "decode", "native", { deno: 1, bun: 0.8, chromium: 0.9 }),
      atLeast("decode, 15M Q8_0, ÷ wllama", "decode", "wllama", {}),
    ],
  },
  {
    ...base,
    name: "260k",
    title: "stories260K, f32, one thread",
    file: () => {
      const path = sharedPath("models/stories260K/stories260K-f32.gguf");
      return path ? { path } : { missing: "../shared/models is absent" };
    },
    peers: ["deno", "bun", "chromium"],
    threads: 1,
    f32: true,
    contextLength: 512,
    decode: { tokens: 200, position: 0 },
    prefill: 0,
    rows: [
      atLeast(
        "decode, stories260K f32, one thread, ÷ llama2.c (recorded)",
        "decode",
        { tokensPerS: 14_200 },
        { deno: 0.5, bun: 0.5, chromium: 0.5 },
      ),
    ],
  },
  {
    ...base,
    name: "long",
    title: "1.1B shape, Q8_0, position 4,000, q8 KV",
    file: synth("q8_0", "tinyllama-1.1b"),
    peers: WITHOUT_WLLAMA,
    contextLength: 4096,
    kv: "q8",
    decode: { tokens: TURN, position: 4000 },
    prefill: 0,
    rows: [
      atLeast("decode at position 4,000 of 4,096, 1.1B Q8_0, q8 KV, ÷ native", "decode", "native", {
        deno: 0.9,
        bun: 0.75,
      }),
    ],
  },
];
