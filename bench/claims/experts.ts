// Claim: the weights that a token reads of a mixture of experts beside a dense model of the same size. Counted, not timed.
import { planLayout } from "../../src/engine/layout.ts";
import type { MetaValue, ModelFile, TensorInfo } from "../../src/format/model_file.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { barChart } from "./chart.ts";
import type { Claim, Section } from "./claim.ts";
import { bytes, percent, ratio } from "./words.ts";

interface MixtureShape {
  readonly model: string;
  readonly dim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly vocabSize: number;
  /** Length of a row inside an expert. */
  readonly hidden: number;
  readonly experts: number;
  readonly used: number;
}

const shapes: readonly MixtureShape[] = [
  {
    ...{ model: "the shape of the benchmarks", dim: 2048, nLayers: 16, nHeads: 32, nKvHeads: 4 },
    ...{ vocabSize: 32000, hidden: 1536, experts: 8, used: 2 },
  },
  {
    ...{ model: "Granite 3.1 1B's shape", dim: 1024, nLayers: 24, nHeads: 16, nKvHeads: 8 },
    ...{ vocabSize: 49155, hidden: 512, experts: 32, used: 8 },
  },
];

interface Counted {
  /** Weights in memory, and what a token reads of them. */
  readonly weights: number;
  readonly read: number;
}

interface Row {
  readonly model: string;
  readonly experts: number;
  readonly used: number;
  readonly mixture: Counted;
  /** One block of the size of all experts. */
  readonly dense: Counted;
}

// A file's header, whose tensors are never read.
function headerOf(shape: MixtureShape, isDense: boolean): ModelFile {
  const { dim, nLayers, nHeads, nKvHeads, vocabSize, hidden, experts, used } = shape;
  const source = bytesSource(new Uint8Array(0));
  const tensors = new Map<string, TensorInfo>();
  const tensor = (name: string, type: string, ...shape: number[]) =>
    tensors.set(name, { name, shape, type, source, offset: tensors.size, byteLength: 0 });
  const kvDim = (dim / nHeads) * nKvHeads;
  const all = experts * hidden;
  tensor("token_embd.weight", "Q8_0", vocabSize, dim);
  tensor("output_norm.weight", "F32", dim);
  tensor("output.weight", "Q8_0", vocabSize, dim);
  for (let i = 0; i < nLayers; i++) {
    const at = (stem: string) => `blk.${i}.${stem}.weight`;
    tensor(at("attn_norm"), "F32", dim);
    tensor(at("attn_q"), "Q8_0", dim, dim);
    tensor(at("attn_k"), "Q8_0", kvDim, dim);
    tensor(at("attn_v"), "Q8_0", kvDim, dim);
    tensor(at("attn_output"), "Q8_0", dim, dim);
    tensor(at("ffn_norm"), "F32", dim);
    if (isDense) {
      tensor(at("ffn_gate"), "Q8_0", all, dim);
      tensor(at("ffn_up"), "Q8_0", all, dim);
      tensor(at("ffn_down"), "Q8_0", dim, all);
      continue;
    }
    tensor(at("ffn_gate_inp"), "F32", experts, dim);
    tensor(at("ffn_gate_exps"), "Q8_0", experts, hidden, dim);
    tensor(at("ffn_up_exps"), "Q8_0", experts, hidden, dim);
    tensor(at("ffn_down_exps"), "Q8_0", experts, dim, hidden);
  }
  const numbers: Record<string, number> = {
    ...{ context_length: 512, embedding_length: dim, block_count: nLayers },
    ...{ "attention.head_count": nHeads, "attention.head_count_kv": nKvHeads },
    feed_forward_length: isDense ? all : hidden,
    ...(!isDense && { expert_count: experts, expert_used_count: used }),
  };
  const metadata = new Map<string, MetaValue>([
    ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: 1e-5 }],
    ...Object.entries(numbers).map(([key, value]) => [`llama.${key}`, { type: "u32", value }] as const),
  ]);
  return { format: "gguf", source, architecture: "llama", metadata, tensors, tokenizer: () => undefined };
}

async function count(shape: MixtureShape, isDense: boolean): Promise<Counted> {
  const { plan, weights } = await planLayout(headerOf(shape, isDense), {});
  return {
    weights: weights.all.reduce(
      (sum, weight) =>
        sum + (weight.kind === "matrix" ? weight.strips * weight.blocks * weight.format.tileBytes : 0),
      0,
    ),
    read: plan.weightBytes.reduce((sum, n) => sum + n, 0),
  };
}

async function measure(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const shape of shapes) {
    const { model, experts, used } = shape;
    rows.push({ model, experts, used, mixture: await count(shape, false), dense: await count(shape, true) });
  }
  return rows;
}

function render(rows: readonly Row[]): Section {
  const kinds = rows.flatMap(({ model, experts, used, mixture, dense }) => [
    { name: `${model}, ${used} of ${experts} experts`, ...mixture },
    { name: `${model}, dense`, ...dense },
  ]);
  return {
    ratios: rows.map(({ model, experts, used, mixture, dense }) => ({
      what: `${model}, ${used} of ${experts} experts: weights that a token reads, dense ÷ experts`,
      value: ratio(dense.read / mixture.read),
    })),
    tables: [
      {
        head: ["model in q8", "read ÷ weights", "weights", "read for a token"],
        rows: kinds.map(({ name, weights, read }) => [
          name,
          percent(read / weights),
          bytes(weights),
          bytes(read),
        ]),
      },
    ],
    charts: [
      barChart({
        title: "Weights that a token reads, GiB",
        series: ["experts", "dense"],
        groups: rows.map(({ model, mixture, dense }) => ({
          label: model,
          values: [mixture.read / 2 ** 30, dense.read / 2 ** 30],
        })),
        format: (value) => value.toFixed(2),
      }),
    ],
    found: [
      ...rows.map(
        ({ model, mixture, dense }) =>
          `A token of ${model} reads ${percent(mixture.read / dense.read)} of what it would read of the dense model, which ` +
          `has ${percent(dense.weights / mixture.weights)} of its weights.`,
      ),
      "Attention, the output and the router are read by every token, so this is more than the experts' own share.",
    ].join(" "),
  };
}

/** Bytes of weights that a token reads with experts and without. */
export const experts: Claim<readonly Row[]> = {
  name: "experts",
  title: "Mixtures of experts",
  about:
    "A mixture of experts beside a dense model of the same shape, whose feed-forward block is as large as all experts " +
    "together. The bytes of weights that a step of one token reads are counted in the plans of both, which hold on every " +
    "machine. A step of several tokens reads each expert that one of them chose, once.",
  measure,
  render,
};
