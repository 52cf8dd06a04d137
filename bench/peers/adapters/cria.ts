// cria as a peer, in any runtime: the engine without tokenizer and sampler.

import { KV_PAGE } from "../../../assembly/layout/blocks.ts";
import { modelTokenizer } from "../../../src/api/model_tokenizer.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { openModelFile } from "../../../src/format/detect.ts";
import { Llama } from "../../../src/mod.ts";
import type { Sequence } from "../../../src/model/kv_cache.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { openSource } from "../../../src/source/open.ts";
import { greedyDecoder } from "../../models.ts";
import { median } from "../../report.ts";
import { type LoadRequest, type Memory, type NllRequest, type Peer, promptIds } from "../protocol.ts";

// A longer past is made of copies. These are as many bytes to read, without minutes of prefill.
const MAX_PREFILL = 512;

/** cria in the runtime that runs this. */
export class Cria implements Peer {
  readonly #open: (file: string) => string | Blob;
  #engine: Engine | undefined;
  #past: Sequence | undefined;

  /** @param open opens a file of this runtime as a source */
  constructor(open: (file: string) => string | Blob = (file) => file) {
    this.#open = open;
  }

  async about() {
    return { version: detectRuntime().name };
  }

  async load({ file, threads, contextLength, kv, f32 }: LoadRequest) {
    const begin = performance.now();
    const source = await openSource(this.#open(file), detectRuntime());
    const precision = f32 ? ("f32" as const) : undefined;
    const options = { threads, contextLength, kv: f32 ? undefined : kv, precision };
    const prepared = Engine.prepare(options, source.size);
    const model = await openModelFile(source);
    // Models without one are measured too; the others load what Llama.load loads.
    if (model.tokenizer()) await modelTokenizer(model, undefined);
    this.#engine = await Engine.create(model, options, prepared);
    await source.close();
    return { ms: performance.now() - begin, threads: this.#engine.threads };
  }

  async prefill({ tokens }: { tokens: number }) {
    const engine = this.#loaded();
    const sequence = engine.sequence();
    const ids = promptIds(tokens, engine.layout.config.vocabSize);
    const begin = performance.now();
    await engine.prefill(sequence, ids, () => {});
    const ms = performance.now() - begin;
    sequence.free();
    return { ms };
  }

  async decode({ tokens, position }: { tokens: number; position: number }) {
    const engine = this.#loaded();
    const ids = promptIds(position + 1, engine.layout.config.vocabSize);
    if (this.#past?.length !== position) {
      this.#past?.free();
      this.#past = await fill(engine, ids.slice(0, position));
    }
    const times: number[] = [];
    await greedyDecoder(engine, this.#past, ids, tokens, (ms) => times.push(ms))();
    return { ms: median(times) };
  }

  async nll({ file, precision, text, window }: NllRequest) {
    await using llama = await Llama.load(this.#open(file), { precision, threads: 1 });
    const { nll } = await llama.perplexity(text, { window });
    return { nll };
  }

  async memory(): Promise<Memory> {
    return { linearBytes: this.#engine?.kernel.memory.buffer.byteLength };
  }

  #loaded(): Engine {
    if (!this.#engine) throw new Error("no model is loaded");
    return this.#engine;
  }
}

async function fill(engine: Engine, ids: number[]): Promise<Sequence> {
  const sequence = engine.sequence();
  const computed = ids.slice(0, MAX_PREFILL);
  if (computed.length > 0) await engine.prefill(sequence, computed, () => {});
  // Each further page is a copy of the one before it.
  const { memory, classes } = engine.pool;
  for (let n = 0; sequence.length < ids.length; sequence.advance(n)) {
    n = Math.min(KV_PAGE, ids.length - sequence.length);
    const ends = sequence.tables.map(({ first, pages }) => first + pages.length);
    sequence.reserve(n);
    sequence.tables.forEach(({ first, pages }, i) => {
      for (let p = ends[i]! - first; p < pages.length; p++) {
        memory.copy(pages[Math.max(0, p - 1)]!, pages[p]!, classes[i]!.pageBytes);
      }
    });
  }
  return sequence;
}
