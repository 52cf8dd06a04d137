// A page that runs @fugood/node-llama-wasm, which is llama.cpp with 64-bit memory. Its own worker computes. Times are those
// that it reports.
import { isWasmThreadsSupported, type LlamaContextWrapper, loadModel } from "@fugood/node-llama-wasm";
import versions from "../package.json" with { type: "json" };
import { answer, type Call, type LoadRequest, type Peer } from "../protocol.ts";

const BATCH = 512;
// Without a penalty the samplers only take the likeliest token.
const GREEDY = {
  temperature: 0,
  top_k: 1,
  penalty_last_n: 0,
  penalty_repeat: 1,
  ignore_eos: true,
} as const;

// A module that only declares a memory with 64-bit addresses.
const MEMORY64 = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1);

class FugoodPeer implements Peer {
  #context: LlamaContextWrapper | undefined;

  async about() {
    return { version: `node-llama-wasm ${versions.dependencies["@fugood/node-llama-wasm"]}` };
  }

  async load({ threads, contextLength, kv }: LoadRequest) {
    if (!WebAssembly.validate(MEMORY64)) throw new Error("this browser has no Memory64");
    if (!isWasmThreadsSupported()) throw new Error("the page cannot share memory with threads");
    const file = document.querySelector("input")?.files?.[0];
    if (!file) throw new Error("the page has no file");
    const cacheType = kv === "q8" ? "q8_0" : "f16";
    const begin = performance.now();
    const context = await loadModel({
      model: file,
      n_threads: threads,
      n_ctx: contextLength,
      n_batch: Math.min(BATCH, contextLength),
      n_gpu_layers: 0,
      cache_type_k: cacheType,
      cache_type_v: cacheType,
      flash_attn_type: "on",
    });
    const ms = performance.now() - begin;
    this.#context = context;
    return { ms, threads: Number(/n_threads = (\d+)/.exec(context.getSystemInfo())?.[1]) };
  }

  async prefill({ tokens }: { tokens: number }) {
    this.#loaded().clearCache(true);
    const { prompt_n, prompt_ms } = await this.#complete(tokens, 1);
    if (prompt_n !== tokens) throw new Error(`prefilled ${prompt_n} tokens instead of ${tokens}`);
    return { ms: prompt_ms };
  }

  async decode({ tokens, position }: { tokens: number; position: number }) {
    // The first token comes from the prompt, unless the whole prompt was cached.
    const { predicted_n, predicted_ms } = await this.#complete(position, tokens + 1);
    if (predicted_n < tokens) throw new Error(`decoded ${predicted_n} tokens instead of ${tokens}`);
    return { ms: predicted_ms / predicted_n };
  }

  async memory() {
    return {};
  }

  #loaded(): LlamaContextWrapper {
    if (!this.#context) throw new Error("no model is loaded");
    return this.#context;
  }

  async #complete(position: number, tokens: number) {
    // Text only: a word that is one token of the vocabulary, after BOS.
    const prompt = Array(position - 1)
      .fill("the")
      .join(" ");
    const { timings } = await this.#loaded().completion({ prompt, n_predict: tokens, ...GREEDY });
    const { prompt_n, prompt_ms, predicted_n, predicted_ms } = timings ?? {};
    if (
      prompt_n === undefined ||
      prompt_ms === undefined ||
      predicted_n === undefined ||
      predicted_ms === undefined
    ) {
      throw new Error("node-llama-wasm gave no timings");
    }
    return { prompt_n, prompt_ms, predicted_n, predicted_ms };
  }
}

const peer = new FugoodPeer();
Object.assign(globalThis, { call: (call: Call) => answer(peer, call) });
