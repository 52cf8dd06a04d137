// The measurements: groups of peers that share a file, and the ratios to compute from their times.
import { basename } from "node:path";
import type { Kind } from "../processor.ts";
import { sharedPath } from "../shared.ts";
import type { MixName } from "../synth/mixes.ts";
import { type SynthShape, type SynthType, synthModel } from "../synth.ts";
import type { PeerName } from "./peer_process.ts";

/** A measurement of a peer in milliseconds. */
export type Timed = "decode" | "prefill" | "load";
/**
 * A measurement of a peer in bytes: most resident bytes of its process, the same without those of the empty runtime, and
 * cria's linear memory.
 */
export type Size = "memory" | "resident" | "linear";
export type Metric = Timed | Size;

/** Columns of the table. */
export const columns = ["deno", "bun", "chromium"] as const;
export type Column = (typeof columns)[number];

/** Targets by column. */
export type Targets = Readonly<Partial<Record<Column, number>>>;

/** A ratio with its target. */
export interface Row {
  readonly title: string;
  readonly metric: Metric;
  /** The numerator, if it is not cria. */
  readonly of?: "memory";
  /** Number of threads of both, if it is not the group's number. */
  readonly threads?: number;
  /** The denominator: another peer, cria with one thread, a recorded rate, or bytes of the file or its tensors and the KV cache. */
  readonly to:
    | "native"
    | "wllama"
    | "fugood"
    | "memory"
    | "one thread"
    | "file + KV cache"
    | "weights + KV cache"
    | { readonly tokensPerS: number };
  /** Whether the ratio must be at least or at most the target. */
  readonly bound: "≥" | "≤";
  /** By kind of processor, because native kernels and browsers gain from different instructions. */
  readonly targets: Readonly<Record<Kind, Targets>>;
}

/** Peers that load one file and take turns. */
export interface Group {
  readonly name: string;
  readonly title: string;
  readonly file: () => { path: string } | { missing: string };
  readonly peers: readonly PeerName[];
  /** Peers that are measured a second time, with one thread. */
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
  /** Number of loads to take the median of. The last loaded model is measured. */
  readonly loads: number;
  readonly rows: readonly Row[];
}

const PROMPT = 128;
const WITHOUT_PEERS_IN_PAGES: readonly PeerName[] = ["native", "deno", "bun", "chromium"];
const ALL: readonly PeerName[] = [...WITHOUT_PEERS_IN_PAGES, "wllama", "fugood"];
const SERVERS: readonly PeerName[] = ["deno", "bun"];
// Tokens of a turn of decoding. Turns are short, so all peers of a round run within seconds.
const TURN = 12;

// TinyLlama-1.1B: keys and values of 22 layers, 4 heads of 64, two bytes each.
const LARGE_CONTEXT = 2048;
const LARGE_KV_BYTES = 2 * 22 * 4 * 64 * 2 * LARGE_CONTEXT;

const MIX_MEMORY: Targets = { deno: 1.1, bun: 1.1, chromium: 1.15 };

const base = { threads: 2, kv: "f16", f32: false, single: [], loads: 1 } as const;

function synth(type: SynthType, shape: SynthShape) {
  return () => synthModel(type, shape);
}

/** One target for Deno and Chromium, which share V8, and one for Bun. */
function engines(v8: number, bun: number): Targets {
  return { deno: v8, bun, chromium: v8 };
}

// Targets for processors with and without dot products of bytes.
function byKind(vnni: Targets, plain: Targets): Row["targets"] {
  return { vnni, plain };
}

function always(targets: Targets): Row["targets"] {
  return byKind(targets, targets);
}

const noTarget = always({});

function atLeast(title: string, metric: Metric, to: Row["to"], targets: Row["targets"]): Row {
  return { title, metric, to, bound: "≥", targets };
}

function atMost(title: string, metric: Metric, to: Row["to"], targets: Row["targets"]): Row {
  return { title, metric, to, bound: "≤", targets };
}

// A row that compares decoding with one thread on both sides.
function withOneThread(type: string, vnni: number): Row {
  const targets = byKind({ deno: vnni, bun: vnni }, { deno: 1, bun: 1 });
  const title = `decode, 1.1B ${type}, one thread, ÷ native with one thread`;
  return { ...atLeast(title, "decode", "native", targets), threads: 1 };
}

// Rows that compare with llama.cpp's WebAssembly builds, both in Chromium.
function inPages(type: string, decode: Row["targets"], prefill: Row["targets"]): Row[] {
  return [
    atLeast(`decode, 1.1B ${type}, ÷ wllama`, "decode", "wllama", decode),
    atLeast(`prefill 128 tokens, 1.1B ${type}, ÷ wllama`, "prefill", "wllama", prefill),
    atLeast(`decode, 1.1B ${type}, ÷ node-llama-wasm`, "decode", "fugood", noTarget),
    atLeast(`prefill 128 tokens, 1.1B ${type}, ÷ node-llama-wasm`, "prefill", "fugood", noTarget),
  ];
}

const large = {
  ...base,
  peers: ALL,
  contextLength: LARGE_CONTEXT,
  decode: { tokens: TURN, position: PROMPT },
  prefill: PROMPT,
} as const;

// Rows of a file with several tensor types; `model` names it. Targets are those of any processor, and of two threads as of one.
function mixRows(model: string, decode: Targets, prefill: Targets): Row[] {
  const one = { threads: 1 };
  const stored = "÷ (weights in the file + KV cache)";
  return [
    atLeast(`decode, ${model}, ÷ native`, "decode", "native", always(decode)),
    { ...atLeast(`decode, ${model}, one thread each`, "decode", "native", always(decode)), ...one },
    atLeast(`prefill 128 tokens, ${model}, ÷ native`, "prefill", "native", always(prefill)),
    {
      ...atLeast(`prefill 128 tokens, ${model}, one thread each`, "prefill", "native", always(prefill)),
      ...one,
    },
    atMost(`load ${model}, warm file cache, ÷ native`, "load", "native", always({ deno: 2.5, bun: 2.5 })),
    atMost(`linear memory ${stored}, ${model}`, "linear", "weights + KV cache", always(MIX_MEMORY)),
    atMost(
      `resident memory beyond the empty runtime's ${stored}, ${model}`,
      "resident",
      "weights + KV cache",
      always(MIX_MEMORY),
    ),
  ];
}

function mixGroup(name: string, title: string, mix: MixName, decode: Targets, prefill: Targets): Group {
  return {
    ...large,
    name,
    title: `1.1B shape, ${title}`,
    file: synth(mix, "tinyllama-1.1b"),
    peers: WITHOUT_PEERS_IN_PAGES,
    single: WITHOUT_PEERS_IN_PAGES,
    kvBytes: LARGE_KV_BYTES,
    loads: 3,
    rows: mixRows(`1.1B ${title}`, decode, prefill),
  };
}

// The quantized files that people download, with types mixed as native's quantizer mixes them.
const mixGroups: readonly Group[] = [
  mixGroup("q4km", "Q4_K_M", "q4_k_m", engines(1, 1), { deno: 0.6, bun: 0.5, chromium: 0.65 }),
  mixGroup("q5km", "Q5_K_M", "q5_k_m", engines(0.9, 0.9), {}),
  mixGroup("q6k", "Q6_K", "q6_k", engines(0.9, 0.9), {}),
  mixGroup("iq4xs", "IQ4_XS", "iq4_xs", engines(0.9, 0.9), {}),
  mixGroup("q40", "Q4_0 with Q6_K output", "q4_0_q6_k", {}, {}),
].map((group) => (group.name === "q4km" ? withWllama(group, "Q4_K_M") : group));

// Other architectures than dense Llama: mixtures of 8 experts of which 2 work on a token, and other families.
function shapeGroup(name: string, shape: SynthShape, type: SynthType, title: string): Group {
  const row = (metric: Timed, targets: Targets) =>
    atLeast(`${metric}, ${title}, ÷ native`, metric, "native", always(targets));
  return {
    ...large,
    name,
    title,
    file: synth(type, shape),
    peers: WITHOUT_PEERS_IN_PAGES,
    rows: [row("decode", engines(1, 1)), row("prefill", { deno: 0.6, bun: 0.5, chromium: 0.6 })],
  };
}

// wllama takes minutes, so it runs one of these files.
function withWllama(group: Group, type: string): Group {
  const rows = inPages(type, noTarget, noTarget).filter(({ to }) => to === "wllama");
  return { ...group, peers: [...group.peers, "wllama"], rows: [...group.rows, ...rows] };
}

/** A group for any GGUF file: decode, prefill and load beside native, with two threads and one. */
export function fileGroup(path: string): Group {
  const title = basename(path);
  const rows = mixRows(title, {}, {}).filter(({ to }) => to === "native");
  const peers = WITHOUT_PEERS_IN_PAGES;
  return { ...large, name: "file", title, file: () => ({ path }), peers, single: peers, rows };
}

/** All groups, in the order in which they are measured. */
export const groups: readonly Group[] = [
  {
    ...large,
    name: "q8",
    title: "1.1B shape, Q8_0",
    file: synth("q8_0", "tinyllama-1.1b"),
    peers: [...ALL, "memory"],
    single: ["native", ...SERVERS, "memory"],
    kvBytes: LARGE_KV_BYTES,
    loads: 5,
    rows: [
      atLeast(
        "decode, 1.1B Q8_0, ÷ native",
        "decode",
        "native",
        byKind(engines(1.1, 1.1), engines(1.05, 1.15)),
      ),
      withOneThread("Q8_0", 1.15),
      atLeast(
        "prefill 128 tokens, 1.1B Q8_0, ÷ native",
        "prefill",
        "native",
        byKind(engines(1, 0.5), engines(0.7, 0.7)),
      ),
      ...inPages(
        "Q8_0",
        byKind({ chromium: 7 }, { chromium: 7 }),
        byKind({ chromium: 15 }, { chromium: 13 }),
      ),
      atLeast(
        "decode, 1.1B Q8_0, ÷ two threads that only read the weights",
        "decode",
        "memory",
        byKind(engines(0.8, 0.8), engines(0.75, 0.75)),
      ),
      atLeast("two threads ÷ one, decode 1.1B Q8_0", "decode", "one thread", always({ deno: 1.8, bun: 1.7 })),
      {
        ...atLeast(
          "two threads that only read ÷ one that decodes: the most of that",
          "decode",
          "one thread",
          noTarget,
        ),
        of: "memory",
      },
      atLeast(
        "two threads ÷ one, prefill 1.1B Q8_0",
        "prefill",
        "one thread",
        always({ deno: 1.8, bun: 1.7 }),
      ),
      atMost(
        "load 1.17 GB Q8_0, warm file cache, ÷ native",
        "load",
        "native",
        always({ deno: 1.5, bun: 1.5 }),
      ),
      atMost(
        "peak memory ÷ (file + KV cache), 1.1B Q8_0",
        "memory",
        "file + KV cache",
        always({ deno: 1.15, bun: 1.2 }),
      ),
    ],
  },
  {
    ...large,
    name: "q4",
    title: "1.1B shape, Q4_0",
    file: synth("q4_0", "tinyllama-1.1b"),
    single: ["native", ...SERVERS],
    rows: [
      atLeast("decode, 1.1B Q4_0, ÷ native", "decode", "native", byKind(engines(1.15, 1.1), engines(1, 1))),
      withOneThread("Q4_0", 1.05),
      atLeast(
        "prefill 128 tokens, 1.1B Q4_0, ÷ native",
        "prefill",
        "native",
        byKind(engines(0.5, 0.4), engines(0.7, 0.75)),
      ),
      ...inPages(
        "Q4_0",
        byKind({ chromium: 18 }, { chromium: 15 }),
        byKind({ chromium: 35 }, { chromium: 25 }),
      ),
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
      atLeast("decode, 15M Q8_0, ÷ native", "decode", "native", always(engines(2, 2))),
      atLeast("decode, 15M Q8_0, ÷ wllama", "decode", "wllama", noTarget),
      atLeast("decode, 15M Q8_0, ÷ node-llama-wasm", "decode", "fugood", noTarget),
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
        always(engines(0.5, 0.5)),
      ),
    ],
  },
  {
    ...base,
    name: "long",
    title: "1.1B shape, Q8_0, position 4,000, q8 KV",
    file: synth("q8_0", "tinyllama-1.1b"),
    peers: WITHOUT_PEERS_IN_PAGES,
    contextLength: 4096,
    kv: "q8",
    decode: { tokens: TURN, position: 4000 },
    prefill: 0,
    rows: [
      atLeast(
        "decode at position 4,000 of 4,096, 1.1B Q8_0, q8 KV, ÷ native",
        "decode",
        "native",
        byKind(engines(1.2, 1.2), engines(1.7, 1.7)),
      ),
    ],
  },
  ...mixGroups,
  shapeGroup("moeq8", "tinyllama-8x", "q8_0", "1.1B shape with 8 experts, Q8_0"),
  shapeGroup("moeq4km", "tinyllama-8x", "q4_k_m", "1.1B shape with 8 experts, Q4_K_M"),
  shapeGroup("gemma3q8", "gemma3-1b", "q8_0", "Gemma 3 1B shape, Q8_0"),
  shapeGroup("gemma3q4km", "gemma3-1b", "q4_k_m", "Gemma 3 1B shape, Q4_K_M"),
  shapeGroup("qwen3q8", "qwen3-0.6b", "q8_0", "Qwen 3 0.6B shape, Q8_0"),
  shapeGroup("qwen3q4km", "qwen3-0.6b", "q4_k_m", "Qwen 3 0.6B shape, Q4_K_M"),
];
