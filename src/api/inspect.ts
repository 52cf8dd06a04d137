// What a model file is, from its header alone: no weight is read.
import { chooseKernel } from "../engine/kernel_choice.ts";
import { type LayoutOptions, planLayout } from "../engine/layout.ts";
import { chatTemplatesOf } from "../format/chat_templates.ts";
import { MissingParts } from "../format/gguf/parts.ts";
import type { MetaValue, ModelFile, TensorInfo } from "../format/model_file.ts";
import { type ModelSource, type OpenedModel, openModel } from "../format/open_model.ts";
import type { ModelConfig } from "../model/config.ts";
import { readModel } from "../model/read_model.ts";
import { scaledModel } from "../model/scaled_model.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { OpenOptions } from "../source/open.ts";
import { createTokenizer } from "../tokenizer/registry.ts";
import { CriaError, type ErrorCode } from "../util/errors.ts";
import { modelTokenizer } from "./model_tokenizer.ts";

/** Tensors of one type. */
export interface TypeFacts {
  readonly type: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** A special token; `piece` as the vocabulary spells it. */
export interface SpecialToken {
  readonly id: number;
  readonly piece: string;
}

/** The tokenizer that a file carries. */
export interface TokenizerFacts {
  /** The algorithm: "spm-bpe", "byte-bpe", ... */
  readonly kind: string;
  /** How texts are split before byte-level BPE; null of other kinds. */
  readonly pretokenizer: string | null;
  readonly vocabSize: number;
  readonly bos: SpecialToken | null;
  /** Each of them ends a text. */
  readonly eos: readonly SpecialToken[];
  readonly unk: SpecialToken | null;
  readonly addsBos: boolean | null;
  readonly addsEos: boolean | null;
  /** What the file says wrongly and is passed over. */
  readonly warnings: readonly string[];
}

/** Why something cannot be had. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Layers that see so many positions only, and what the KV cache has for them, in bytes. */
export interface WindowFacts {
  readonly window: number;
  readonly layers: number;
  readonly kvCache: number;
}

/** Linear memory of a loaded model, in bytes. */
export interface MemoryFacts {
  readonly contextLength: number;
  readonly weights: number;
  readonly kvCache: number;
  /** What of the KV cache is for layers with sliding windows shorter than the context. */
  readonly windows: readonly WindowFacts[];
  /** All: also activations, the plan, scratch for each thread, and buffers. */
  readonly total: number;
}

/** What a model file is. */
export interface ModelFacts {
  readonly file: string;
  readonly format: ModelFile["format"];
  /** Bytes of all its files; null if one does not say. */
  readonly bytes: number | null;
  /** Names of the files that its tensors lie in, if they are several. */
  readonly files: readonly string[] | null;
  /** Which part of a model the file is, from 1 on, if it is one and others are missing. */
  readonly part: { readonly part: number; readonly parts: number } | null;
  /** The first names of the parts that are missing, if any are: all else is what the one that was named says. */
  readonly missing: readonly string[] | null;
  readonly architecture: string;
  readonly name: string | null;
  /** Values of all tensors. */
  readonly parameters: number;
  /** Bits that one of them takes on average. */
  readonly bitsPerWeight: number;
  /** The type with the most bytes first. */
  readonly types: readonly TypeFacts[];
  /** Hyper-parameters; null if cria does not know what they mean. */
  readonly config: ModelConfig | null;
  readonly tokenizer: TokenizerFacts | Refusal | null;
  readonly chatTemplate: string | null;
  /** Memory at the context that is the default or asked for, or why the model is not loaded. */
  readonly memory: MemoryFacts | Refusal;
  /** Memory at the model's full context; null if the model is not loaded at all. */
  readonly fullMemory: MemoryFacts | Refusal | null;
}

/** What is shown of a file. */
export interface Inspection {
  readonly facts: ModelFacts;
  readonly metadata: ReadonlyMap<string, MetaValue>;
  /** In the order of the header. */
  readonly tensors: readonly TensorInfo[];
}

/**
 * Reads the header of a model file and says what it is, whether it loads and with how much memory. Nothing else is read,
 * and nothing is cached: of a URL only the header is fetched, and of a whole file in the cache nothing. Of a model in several
 * files of which some are missing it says what the one that was named says.
 * @param layout what decides the memory
 * @throws as `Llama.load` for what is no model file. A model that does not load is no error.
 */
export async function inspectModel(
  source: ModelSource,
  { signal, http }: Pick<OpenOptions, "signal" | "http"> = {},
  layout: LayoutOptions = {},
): Promise<Inspection> {
  const opened = await openModel(source, detectRuntime(), {
    ...{ signal, http, cache: false, fromCache: true },
  });
  try {
    const { file, missing } = await readOrPart(opened);
    return {
      facts: await factsOf(file, layout, missing),
      metadata: file.metadata,
      tensors: [...file.tensors.values()],
    };
  } finally {
    await opened.close();
  }
}

/** Bytes of a tensor, with scales that are stored apart. */
export function bytesOfTensor({ byteLength, scales }: TensorInfo): number {
  return byteLength + (scales?.byteLength ?? 0);
}

/** The headers of a model, or of the part that was named if others are missing. */
async function readOrPart(opened: OpenedModel): Promise<{ file: ModelFile; missing?: MissingParts }> {
  try {
    return { file: await opened.read() };
  } catch (error) {
    if (error instanceof MissingParts) return { file: error.part, missing: error };
    throw error;
  }
}

async function factsOf(
  file: ModelFile,
  options: LayoutOptions,
  missing: MissingParts | undefined,
): Promise<ModelFacts> {
  const { source, format, architecture, metadata } = file;
  const sources = [...new Set([source, ...[...file.tensors.values()].map((tensor) => tensor.source)])];
  const sizes = sources.map(({ size }) => size ?? Number.NaN);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const types = typesOf(file);
  const parameters = types.reduce((sum, type) => sum + type.parameters, 0);
  const weightBytes = types.reduce((sum, type) => sum + type.bytes, 0);
  const own = await attempt(async () => readModel(file));
  const scaled =
    "message" in own ? own : await attempt(async () => scaledModel(own, source.name, options).model);
  // A request that the model cannot have is the memory's refusal.
  const { config = null } = "message" in scaled ? ("message" in own ? {} : own) : scaled;
  const memory = await attempt(async () => {
    if (missing) throw missing;
    // A model whose tokenizer is refused is not loaded; one without a tokenizer can be given one.
    if (file.tokenizer() !== undefined) await modelTokenizer(file, undefined);
    return plannedMemory(file, options);
  });
  return {
    file: source.name,
    format,
    bytes: Number.isNaN(bytes) ? null : bytes,
    files: sources.length > 1 ? sources.map(({ name }) => name) : null,
    part: partOf(metadata),
    missing: missing?.names ?? null,
    architecture,
    name: textAt(metadata, "general.name"),
    parameters,
    bitsPerWeight: parameters > 0 ? (8 * weightBytes) / parameters : 0,
    types,
    config,
    tokenizer: await attempt(async () => tokenizerOf(file)),
    chatTemplate: chatTemplatesOf(file).byName.get("default") ?? null,
    memory,
    fullMemory:
      config === null || "message" in memory
        ? null
        : await attempt(() => plannedMemory(file, { ...options, contextLength: config.contextLength })),
  };
}

function typesOf(file: ModelFile): TypeFacts[] {
  const types = new Map<string, { tensors: number; parameters: number; bytes: number }>();
  for (const tensor of file.tensors.values()) {
    const of = types.get(tensor.type) ?? { tensors: 0, parameters: 0, bytes: 0 };
    of.tensors++;
    of.parameters += tensor.shape.reduce((product, n) => product * n, 1);
    of.bytes += bytesOfTensor(tensor);
    types.set(tensor.type, of);
  }
  return Array.from(types, ([type, of]) => ({ type, ...of })).sort((a, b) => b.bytes - a.bytes);
}

function partOf(metadata: Inspection["metadata"]): ModelFacts["part"] {
  const [parts, no] = [numberAt(metadata, "split.count"), numberAt(metadata, "split.no")];
  return parts !== undefined && parts > 1 ? { part: (no ?? 0) + 1, parts } : null;
}

function tokenizerOf(file: ModelFile): TokenizerFacts | null {
  const data = file.tokenizer();
  if (!data) return null;
  const tokenizer = createTokenizer(data);
  const special = (id: number) => ({ id, piece: tokenizer.piece(id) });
  const optional = (id: number | undefined) => (id === undefined ? null : special(id));
  return {
    kind: data.kind,
    pretokenizer: "pretokenizer" in data ? data.pretokenizer : null,
    vocabSize: tokenizer.vocabSize,
    bos: optional(tokenizer.bosId),
    eos: tokenizer.eosIds.map(special),
    unk: optional("unkId" in data ? data.unkId : undefined),
    addsBos: "addBos" in data ? data.addBos : null,
    addsEos: "addEos" in data ? data.addEos : null,
    warnings: ("warnings" in data && data.warnings) || [],
  };
}

async function plannedMemory(file: ModelFile, options: LayoutOptions): Promise<MemoryFacts> {
  const { threads } = chooseKernel(detectRuntime(), {});
  const layout = await planLayout(file, { threads, ...options });
  const { contextLength, weights, kv, pages, totalBytes } = layout;
  const begin = weights.all.reduce((least, { address }) => Math.min(least, address), pages);
  return {
    contextLength,
    weights: pages - begin,
    kvCache: kv.sequenceBytes,
    windows: kv.classes.flatMap(({ window, pageBytes, mostPages }, i) =>
      window === undefined
        ? []
        : {
            window,
            layers: kv.layers.filter(({ pageClass }) => pageClass === i).length,
            kvCache: pageBytes * mostPages,
          },
    ),
    total: totalBytes,
  };
}

// What `read` gives, or why it gives nothing; errors of cria's own only.
async function attempt<T>(read: () => Promise<T>): Promise<T | Refusal> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CriaError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function textAt(metadata: Inspection["metadata"], key: string): string | null {
  const found = metadata.get(key);
  return found?.type === "string" ? String(found.value) : null;
}

function numberAt(metadata: Inspection["metadata"], key: string): number | undefined {
  const found = metadata.get(key);
  return typeof found?.value === "number" ? found.value : undefined;
}
