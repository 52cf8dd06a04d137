// Suite: attention over keys and values from memory, for one token at two positions and for a tile of a prompt.
import { KV_PAGE } from "../assembly/layout/blocks.ts";
import { QUERY_TILE } from "../assembly/layout/control.ts";
import { ATT_LAYER, RECORD_WORDS } from "../assembly/layout/ops.ts";
import type { KvType } from "../src/model/config.ts";
import { headTable } from "../src/model/gqa.ts";
import { kvTypeCodes, kvTypes } from "../src/quant/kv_types.ts";
import { attentionRecord, queryTile } from "../tests/support/attention_record.ts";
import { FAR_BYTES, type KernelArea } from "./kernel_area.ts";
import { runSuites, type Session, type Suite } from "./suite.ts";

/** Head size of every case. */
export const HEAD_DIM = 64;

interface Heads {
  readonly name: string;
  readonly nHeads: number;
  readonly nKvHeads: number;
}

const headCounts: readonly Heads[] = [
  { name: "GQA 32/4", nHeads: 32, nKvHeads: 4 },
  { name: "MHA 12", nHeads: 12, nKvHeads: 12 },
];

/** Tokens of one step, and the number of positions that its last token sees. */
const steps = [
  { tokens: 1, positions: 512 },
  { tokens: 1, positions: 4000 },
  { tokens: QUERY_TILE, positions: 512 },
] as const;

/** Addresses and sizes of keys and values. */
export interface Cache {
  readonly headBytes: number;
  readonly layerBytes: number;
  readonly layers: number;
  /** Address of the page table. */
  readonly pages: number;
}

/** Fills a KV cache with so many layers that the processor's cache cannot hold them. All pages hold the same 32 positions. */
export function fillCache(area: KernelArea, type: KvType, nKvHeads: number, positions: number): Cache {
  const { kernels } = area;
  const headBytes = kernels.kv_head_bytes(kvTypeCodes[type], HEAD_DIM);
  const nPages = Math.ceil(positions / KV_PAGE);
  const layerBytes = headBytes * nKvHeads;
  const layers = Math.ceil(FAR_BYTES / (layerBytes * nPages));
  const pageBytes = layerBytes * layers;
  const address = area.alloc(pageBytes * nPages);
  const k = area.random(KV_PAGE * HEAD_DIM);
  const v = area.random(KV_PAGE * HEAD_DIM);
  for (let slot = 0; slot < KV_PAGE; slot++) {
    const at = 4 * slot * HEAD_DIM;
    kernels[`kv_store_${type}`](k + at, v + at, address, slot, HEAD_DIM);
  }
  area.spread(address, headBytes, pageBytes * nPages);
  const pages = area.words(Array.from({ length: nPages }, (_, i) => address + i * pageBytes));
  return { headBytes, layerBytes, layers, pages };
}

async function measureStep(
  session: Session,
  type: KvType,
  { name, nHeads, nKvHeads }: Heads,
  { tokens, positions }: (typeof steps)[number],
): Promise<void> {
  const area = await session.area();
  const { kernels } = area;
  const { headBytes, layerBytes, layers, pages } = fillCache(area, type, nKvHeads, positions);
  const { heads, groups } = headTable(nHeads, nKvHeads);
  const stride = 4 * nHeads * HEAD_DIM;
  const q = area.random(tokens * nHeads * HEAD_DIM);
  const out = area.alloc(tokens * stride);
  const scratch = area.alloc(kernels.attention_scratch_bytes(HEAD_DIM, nHeads / nKvHeads) >>> 0);
  const pos = positions - tokens;
  const record = area.words(
    attentionRecord({
      q,
      qStride: stride,
      out,
      outStride: stride,
      heads: area.words(heads),
      groups: area.words(groups),
      type: kvTypeCodes[type],
      layer: 0,
      headBytes,
      headDim: HEAD_DIM,
      scale: 1 / Math.sqrt(HEAD_DIM),
    }),
  );
  const tile = area.words(queryTile({ firstToken: 0, tokens, position: pos, pageTable: pages }));
  const words = new Int32Array(area.memory.buffer, record, RECORD_WORDS);
  let layer = 0;
  const call = () => {
    words[ATT_LAYER] = (layer++ % layers) * layerBytes;
    for (let kvHead = 0; kvHead < nKvHeads; kvHead++) kernels.attention(record, tile, kvHead, scratch);
  };
  // Token t sees pos + t + 1 positions.
  const pairs = tokens * (pos + (tokens + 1) / 2);
  await session.measure({
    name: `${type} ${tokens === 1 ? "one token" : `${tokens} tokens`}`,
    shape: `${name} x ${HEAD_DIM}, ${positions} positions`,
    work: { bytes: (layerBytes * positions) / KV_PAGE, macs: 2 * pairs * nHeads * HEAD_DIM },
    call,
  });
}

export const attention: Suite = {
  name: "attention",
  about:
    "One layer in each call, with all its kv heads; shapes are query heads / kv heads x head size. Calls go through at " +
    "least 288 MiB of layers, so keys and values come from memory. Bytes are those of keys and values.",
  async run(session) {
    for (const type of kvTypes) {
      for (const heads of headCounts) {
        for (const step of steps) await measureStep(session, type, heads, step);
      }
    }
  },
};

if (import.meta.main) await runSuites([attention]);
