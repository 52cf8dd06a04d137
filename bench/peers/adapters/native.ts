// llama.cpp through node-llama-cpp: its batches alone. The text, queue and samplers around them would cost the smallest
// models a good part of their speed.
import { getLlama, type Llama, type LlamaContext, type LlamaModel } from "node-llama-cpp";
import { median } from "../../report.ts";
import versions from "../package.json" with { type: "json" };
import { type LoadRequest, type Peer, promptIds } from "../protocol.ts";
import { peakMemory, serve } from "./serve.ts";

const BATCH = 512;

/** Private parts of node-llama-cpp, in the version that package.json names. */
interface Addon {
  initBatch(size: number): void;
  addToBatch(sequence: number, position: number, tokens: Uint32Array, outputs: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(output: number, sampler: Sampler): Promise<number>;
  removeTokenCellsFromSequence(sequence: number, begin: number, end: number): boolean;
}

interface Sampler {
  applyConfig(config: { temperature: number }): void;
}

class Native implements Peer {
  #llama: Llama | undefined;
  #model: LlamaModel | undefined;
  #context: LlamaContext | undefined;
  #sampler: Sampler | undefined;
  #length = 0;

  async about() {
    const llama = await this.#start();
    const release = (llama as unknown as { llamaCppRelease: { release: string } }).llamaCppRelease.release;
    return { version: `node-llama-cpp ${versions.dependencies["node-llama-cpp"]}, llama.cpp ${release}` };
  }

  async load({ file, threads, contextLength, kv }: LoadRequest) {
    const llama = await this.#start();
    const begin = performance.now();
    const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
    const cacheType = kv === "q8" ? "Q8_0" : "F16";
    const context = await model.createContext({
      contextSize: contextLength,
      batchSize: Math.min(BATCH, contextLength),
      threads,
      flashAttention: kv === "q8" ? true : "auto",
      experimentalKvCacheKeyType: cacheType,
      experimentalKvCacheValueType: cacheType,
      ignoreMemorySafetyChecks: true,
    });
    const ms = performance.now() - begin;
    context.getSequence();
    const { AddonSampler } = (
      llama as unknown as { _bindings: { AddonSampler: new (m: unknown) => Sampler } }
    )._bindings;
    this.#sampler = new AddonSampler((model as unknown as { _model: unknown })._model);
    this.#sampler.applyConfig({ temperature: 0 });
    this.#model = model;
    this.#context = context;
    return { ms, threads: context.currentThreads };
  }

  async prefill({ tokens }: { tokens: number }) {
    const ids = promptIds(tokens, this.#vocabSize());
    this.#rollback(0);
    const begin = performance.now();
    await this.#run(ids, true);
    const ms = performance.now() - begin;
    this.#rollback(0);
    return { ms };
  }

  async decode({ tokens, position }: { tokens: number; position: number }) {
    const ids = promptIds(position + 1, this.#vocabSize());
    if (this.#length !== position) {
      this.#rollback(0);
      if (position > 0) await this.#run(ids.slice(0, position), false);
    }
    let id = ids[position] as number;
    const times: number[] = [];
    for (let i = 0; i < tokens; i++) {
      const begin = performance.now();
      id = await this.#run([id], true);
      times.push(performance.now() - begin);
    }
    this.#rollback(position);
    return { ms: median(times) };
  }

  memory = peakMemory;

  async #start(): Promise<Llama> {
    this.#llama ??= await getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      progressLogs: false,
      maxThreads: 0,
    });
    return this.#llama;
  }

  get #addon(): Addon {
    if (!this.#context) throw new Error("no model is loaded");
    return (this.#context as unknown as { _ctx: Addon })._ctx;
  }

  #vocabSize(): number {
    const { tokens } = this.#model?.fileInfo.metadata.tokenizer.ggml ?? {};
    if (!tokens) throw new Error("no model is loaded");
    return tokens.length;
  }

  #rollback(length: number): void {
    if (length < this.#length) this.#addon.removeTokenCellsFromSequence(0, length, -1);
    this.#length = length;
  }

  // Appends ids. Returns the greedy choice after the last if `choose` is set.
  async #run(ids: readonly number[], choose: boolean): Promise<number> {
    const addon = this.#addon;
    let output: number | undefined;
    for (let at = 0; at < ids.length; at += BATCH) {
      const part = Uint32Array.from(ids.slice(at, at + BATCH));
      addon.initBatch(part.length);
      const last = choose && at + BATCH >= ids.length ? [part.length - 1] : [];
      [output] = addon.addToBatch(0, this.#length, part, Uint32Array.from(last));
      await addon.decodeBatch();
      this.#length += part.length;
    }
    return output === undefined ? -1 : addon.sampleToken(output, this.#sampler as Sampler);
  }
}

await serve(new Native());
