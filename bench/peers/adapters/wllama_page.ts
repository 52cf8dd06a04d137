// A page that runs wllama. Its own worker computes. Times are those that its server reports.
import { Wllama } from "@wllama/wllama";
import { answer, type Call, type LoadRequest, type Peer } from "../protocol.ts";

const GREEDY = { temperature: 0, top_k: 1, ignore_eos: true } as const;

class WllamaPeer implements Peer {
  #wllama: Wllama | undefined;

  async about() {
    return { version: Wllama.getLibllamaVersion() };
  }

  async load({ threads, contextLength, kv }: LoadRequest) {
    const file = document.querySelector("input")?.files?.[0];
    if (!file) throw new Error("the page has no file");
    const begin = performance.now();
    const logger = { ...console, debug: () => {}, log: () => {} };
    const wllama = new Wllama({ default: "/wllama.wasm" }, { suppressNativeLog: true, logger });
    // Without this, its fallback for browsers without JSPI would be loaded from a content delivery network.
    wllama.setCompat(null);
    const cacheType = kv === "q8" ? "q8_0" : "f16";
    await wllama.loadModel([file], {
      n_threads: threads,
      n_ctx: contextLength,
      n_gpu_layers: 0,
      n_parallel: 1,
      cache_type_k: cacheType,
      cache_type_v: cacheType,
      flash_attn: true,
      warmup: false,
    });
    this.#wllama = wllama;
    return { ms: performance.now() - begin, threads: wllama.getNumThreads() };
  }

  async prefill({ tokens }: { tokens: number }) {
    const { prompt_n, prompt_ms } = await this.#complete(tokens, 1, false);
    if (prompt_n !== tokens) throw new Error(`prefilled ${prompt_n} tokens instead of ${tokens}`);
    return { ms: prompt_ms };
  }

  async decode({ tokens, position }: { tokens: number; position: number }) {
    // The clock of predicted_ms starts when the first token has been chosen.
    const { predicted_n, predicted_ms } = await this.#complete(position, tokens + 1, true);
    if (predicted_n !== tokens + 1) throw new Error(`decoded ${predicted_n} tokens instead of ${tokens + 1}`);
    return { ms: predicted_ms / tokens };
  }

  async memory() {
    return {};
  }

  async #complete(position: number, tokens: number, cached: boolean) {
    const wllama = this.#wllama;
    if (!wllama) throw new Error("no model is loaded");
    // Text only: a word that is one token of the vocabulary, after BOS.
    const prompt = Array(position - 1)
      .fill("the")
      .join(" ");
    const options = { prompt, max_tokens: tokens, cache_prompt: cached, ...GREEDY };
    const { timings } = await wllama.createCompletion({ ...options, stream: false });
    if (!timings) throw new Error("wllama gave no timings");
    return timings;
  }
}

const peer = new WllamaPeer();
Object.assign(globalThis, { call: (call: Call) => answer(peer, call) });
