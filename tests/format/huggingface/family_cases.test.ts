// What single families store in ways of their own, and folders of them that contradict themselves: each its own message.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openModelFile } from "../../../src/format/detect.ts";
import { readFolder } from "../../../src/format/huggingface/folder.ts";
import type { ModelFile } from "../../../src/format/model_file.ts";
import { readModel } from "../../../src/model/read_model.ts";
import { detectRuntime } from "../../../src/runtime/detect.ts";
import { bytesSource } from "../../../src/source/bytes.ts";
import { openFileSet } from "../../../src/source/file_set.ts";
import { FileShelf } from "../../../src/source/file_shelf.ts";
import { FormatError, UnsupportedError } from "../../../src/util/errors.ts";
import { huggingFaceFolder } from "../../support/huggingface_writer.ts";
import { type RandomModel, randomModel, randomModels } from "../../support/random_models.ts";
import { refused } from "../../support/refused.ts";
import type { ErrorClass } from "../../support/refuses.ts";
import { type StoredTensor, safetensorsFile } from "../../support/safetensors_writer.ts";

type Files = Map<string, Uint8Array<ArrayBuffer>>;

const read = (files: Files): Promise<ModelFile> =>
  readFolder(new FileShelf(openFileSet(files, detectRuntime())), undefined);

async function folder(name: string, config: Record<string, unknown> = {}, without?: RegExp): Promise<Files> {
  const model = { ...(randomModels[name] as RandomModel), ...(without && { without }) };
  return huggingFaceFolder(await openModelFile(bytesSource(await randomModel(model))), { config });
}

/** The tensors of a folder, changed. */
function changed(files: Files, change: (tensors: StoredTensor[]) => StoredTensor[]): Files {
  const bytes = files.get("model.safetensors") as Uint8Array<ArrayBuffer>;
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { __metadata__, ...rest } = header;
  const tensors = Object.entries(rest).map(([name, value]) => {
    const { dtype, shape, data_offsets } = value as {
      dtype: string;
      shape: number[];
      data_offsets: [number, number];
    };
    const [begin, end] = data_offsets;
    return { name, dtype, shape, data: bytes.slice(8 + length + begin, 8 + length + end) };
  });
  return new Map(files).set("model.safetensors", safetensorsFile(change(tensors)));
}

async function bytesOf(file: ModelFile, name: string): Promise<Uint8Array> {
  const info = file.tensors.get(name);
  assert.ok(info, name);
  const bytes = new Uint8Array(info.byteLength);
  await info.source.read(info.offset, bytes);
  return bytes;
}

const renamed = (files: Files, pattern: RegExp, to: string) =>
  changed(files, (all) => all.map((one) => ({ ...one, name: one.name.replace(pattern, to) })));

describe("families that store texts beside images", () => {
  it("are read without the images, whatever the names begin with", async () => {
    const plain = await folder("gemma3");
    const config = JSON.parse(new TextDecoder().decode(plain.get("config.json")));
    const whole = {
      ...{
        architectures: ["Gemma3ForConditionalGeneration"],
        text_config: config,
        tie_word_embeddings: false,
      },
      ...{ vision_config: { hidden_size: 7 }, mm_tokens_per_image: 256, image_token_index: 9 },
    };
    const image = {
      name: "vision_tower.vision_model.a.weight",
      dtype: "F32",
      shape: [1],
      data: new Uint8Array(4),
    };
    const expected = await read(plain);
    for (const prefix of ["language_model.model.", "model.language_model."]) {
      const files = changed(renamed(plain, /^model\./, prefix), (all) => [...all, image]);
      files.set("config.json", new TextEncoder().encode(JSON.stringify(whole)));
      const file = await read(files);
      assert.deepEqual([...file.metadata], [...expected.metadata]);
      assert.deepEqual([...file.tensors.keys()], [...expected.tensors.keys()]);
      const name = "blk.1.attn_norm.weight";
      assert.deepEqual(await bytesOf(file, name), await bytesOf(expected, name));
      files.set("config.json", new TextEncoder().encode(JSON.stringify({ ...whole, audio_config: {} })));
      await refused(
        read(files),
        /^Cannot read config\.json: Key "audio_config" .* not supported/,
        UnsupportedError,
      );
    }
  });

  it("take what transformers mean by keys that are missing", async () => {
    const absent = Object.fromEntries(
      [
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "rms_norm_eps",
        "query_pre_attn_scalar",
        "max_position_embeddings",
        "rope_theta",
      ].map((key) => [key, undefined]),
    );
    const { metadata } = await read(await folder("gemma3", absent));
    const at = (key: string) => metadata.get(`gemma3.${key}`)?.value;
    assert.deepEqual(
      [
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "context_length",
        "rope.freq_base",
      ].map(at),
      [8, 4, 256, 131072, 1e6],
    );
  });
});

describe("experts of gpt-oss in blocks of 4 bits", () => {
  // Every byte of a tensor of blocks says where it is.
  const blocks = (rows: number, name: string): StoredTensor[] => {
    const data = (n: number, seed: number) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + seed) & 255);
    const [experts, perRow] = [6, name.includes("down") ? 1 : 2];
    return [
      {
        name: `${name}_blocks`,
        dtype: "U8",
        shape: [experts, rows, perRow, 16],
        data: data(experts * rows * perRow * 16, 1),
      },
      {
        name: `${name}_scales`,
        dtype: "U8",
        shape: [experts, rows, perRow],
        data: data(experts * rows * perRow, 5),
      },
    ];
  };
  const packed = async (change = (tensors: StoredTensor[]) => tensors) => {
    const files = await folder("gpt-oss", { quantization_config: { quant_method: "mxfp4" } }, /exp_probs_b/);
    return changed(files, (all) =>
      change(
        all.flatMap((one) => {
          const match = /^(.*\.experts\.(gate_up|down)_proj)$/.exec(one.name);
          return match ? blocks(64, match[1] as string) : [one];
        }),
      ),
    );
  };

  it("become GGUF's blocks, gate and up by turns", async () => {
    const file = await read(await packed());
    assert.deepEqual(file.tensors.get("blk.0.ffn_gate_exps.weight")?.shape, [6, 32, 64]);
    assert.deepEqual(file.tensors.get("blk.0.ffn_down_exps.weight")?.shape, [6, 64, 32]);
    for (const [i, part] of ["gate", "up"].entries()) {
      const bytes = await bytesOf(file, `blk.1.ffn_${part}_exps.weight`);
      const [stored, scales] = blocks(64, "gate_up") as [StoredTensor, StoredTensor];
      for (const [expert, row, block] of [
        [0, 0, 0],
        [0, 1, 1],
        [5, 31, 1],
        [2, 17, 0],
      ] as const) {
        const from = (expert * 64 + 2 * row + i) * 2 + block;
        const to = 17 * ((expert * 32 + row) * 2 + block);
        assert.equal(bytes[to], scales.data[from]);
        const value = (k: number) => ((stored.data[16 * from + (k >> 1)] as number) >> (4 * (k & 1))) & 15;
        for (let k = 0; k < 16; k++) assert.equal(bytes[to + 1 + k], value(k) | (value(k + 16) << 4));
      }
    }
  });

  it("need their scales, and no other quantization", async () => {
    await refused(
      read(await packed((all) => all.filter(({ name }) => !name.endsWith("0.mlp.experts.down_proj_scales")))),
      /^Cannot load tensor "model\.layers\.0\.mlp\.experts\.down_proj_blocks" .*: Expected scales beside it, U8 \[6,64,1\], got none$/,
    );
    const other = await folder("gpt-oss", { quantization_config: { quant_method: "fp8" } }, /exp_probs_b/);
    await refused(read(other), /Expected quantization_config\.quant_method to be one of mxfp4, got "fp8"$/);
  });
});

describe("folders that contradict themselves", () => {
  const cases: readonly [string, Record<string, unknown>, RegExp, ErrorClass?][] = [
    [
      "qwen2",
      { hidden_act: "gelu" },
      /Key "hidden_act" with "gelu" .*supported: silu, swish$/,
      UnsupportedError,
    ],
    [
      "gemma2",
      { query_pre_attn_scalar: 9 },
      /Key "query_pre_attn_scalar" with "9" .*supported: 16$/,
      UnsupportedError,
    ],
    [
      "gemma2",
      { attn_logit_softcapping: -1 },
      /attn_logit_softcapping to be a number of at least 0, got -1$/,
    ],
    [
      "gemma2",
      { attn_logit_softcapping: "50" },
      /attn_logit_softcapping to be a number of at least 0, got "50"$/,
    ],
    ["gemma2", { sliding_window: 0 }, /sliding_window to be an integer from 1 to 2147483647, got 0$/],
    [
      "gemma3",
      { sliding_window_pattern: 5 },
      /A window in other layers \("5"\) .*supported: 6$/,
      UnsupportedError,
    ],
    [
      "gemma3",
      { layer_types: ["full_attention"] },
      /layer_types to be a value for each of 6 layers, got an array of 1$/,
    ],
    [
      "cohere2",
      { layer_types: Array(4).fill("full_attention") },
      /Layer 0 with "full_attention" .*supported: "sliding_attention"$/,
      UnsupportedError,
    ],
    [
      "smollm3",
      { no_rope_layers: [1, 1, 1, 1] },
      /Layer 3 with "1" at no_rope_layers\[3\].*supported: "0"$/,
      UnsupportedError,
    ],
    [
      "qwen3moe",
      { norm_topk_prob: undefined },
      /Key "norm_topk_prob" with "false" .*supported: true$/,
      UnsupportedError,
    ],
    ["qwen3moe", { num_experts: 5 }, /Expected shape \[5, .*, got \[6, /],
    ["qwen3moe", { num_experts: 0 }, /num_experts to be an integer from 1 to 2147483647, got 0$/],
    ["qwen3moe", { num_experts_per_tok: 7 }, /expert_used_count to be an integer in \[1, 6\], got/],
    ["qwen3moe", { mlp_only_layers: [0] }, /Key "mlp_only_layers" with "\[0\]"/, UnsupportedError],
    [
      "deepseek2",
      { qk_nope_head_dim: 8 },
      /kv_b_proj\.weight" .*: Expected rows of 4 heads of 8 and 16, got shape \[128,32\]$/,
    ],
    [
      "deepseek2",
      { scoring_func: "softmax" },
      /Key "scoring_func" with "softmax" .*supported: sigmoid$/,
      UnsupportedError,
    ],
    [
      "deepseek2",
      { rope_scaling: { rope_type: "yarn", factor: 4, mscale: 1, mscale_all_dim: 0.5 } },
      /Another mscale than mscale_all_dim 0\.5/,
      UnsupportedError,
    ],
    [
      "internlm2",
      { num_key_value_heads: 3 },
      /wqkv\.weight" .*: Expected rows of 4 heads of queries, and 3 of keys and of values, of 16 each, got shape \[128,64\]$/,
    ],
    ["falcon", { alibi: true }, /Key "alibi" with "true"/, UnsupportedError],
    [
      "gpt2",
      { scale_attn_by_inverse_layer_idx: true },
      /Key "scale_attn_by_inverse_layer_idx"/,
      UnsupportedError,
    ],
    [
      "stablelm",
      { qk_layernorm: false },
      /Expected no norms of queries and keys among the tensors, as config\.json says/,
    ],
    [
      "glm4",
      { partial_rotary_factor: 1.5 },
      /partial_rotary_factor to be a number above 0, at most 1, got 1\.5$/,
    ],
    ["qwen2", { num_experts: 4 }, /Key "num_experts" with "4"/, UnsupportedError],
  ];
  for (const [name, config, message, type] of cases) {
    it(`${name} with ${JSON.stringify(config)}`, async () => {
      const files = await folder(
        name,
        config,
        name === "deepseek2" || name === "stablelm" ? undefined : /_exps\.bias$|exp_probs_b/,
      );
      const load = async () => {
        const file = await read(files);
        const model = readModel(file);
        const need = file.tensors.get("blk.0.ffn_up_exps.weight")?.shape;
        const { nExperts } = model.config;
        if (need && nExperts !== need[0])
          throw new FormatError(
            `Expected shape [${nExperts}, a, b], got [${need}]`.replace(`[${need}]`, `[${need.join(", ")}]`),
          );
      };
      await refused(load(), message, type ?? FormatError);
    });
  }

  it("biases that every model of a family has", async () => {
    await refused(
      read(await folder("qwen2", {}, /attn_k\.bias$/)),
      /Expected biases among the tensors, as config\.json says \(attn_k\.bias\)$/,
    );
  });

  it("experts that are missing, differ, or are there twice", async () => {
    const files = await folder("qwen3moe", {}, /_exps\.bias$|exp_probs_b/);
    await refused(
      read(renamed(files, /layers\.1\.mlp\.experts\.3\.up_proj/, "layers.1.mlp.experts.9.up_proj")),
      /: Expected blk\.1\.ffn_up_exps\.weight in parts 0 to 5, got no 3$/,
    );
    await refused(
      read(
        changed(files, (all) =>
          all.map((one) =>
            /experts\.2\.up/.test(one.name) ? { ...one, shape: [...one.shape].reverse() } : one,
          ),
        ),
      ),
      /experts\.2\.up_proj\.weight" .*: Expected F32 \[32,64\], as the first has, got F32 \[64,32\]$/,
    );
    await refused(
      read(
        changed(files, (all) => [
          ...all,
          { ...(all[0] as StoredTensor), name: (all[0] as StoredTensor).name.replace(/^model\./, "") },
        ]),
      ),
      /: Expected each tensor once, got "model\.embed_tokens\.weight" and "embed_tokens\.weight"$/,
    );
  });

  it("values of types that cannot be changed", async () => {
    const wide = (one: StoredTensor) => ({ ...one, dtype: "F64", data: new Uint8Array(2 * one.data.length) });
    for (const [name, pattern] of [
      ["gemma", /input_layernorm/],
      ["gpt2", /c_fc\.weight/],
    ] as const) {
      const files = changed(await folder(name), (all) =>
        all.map((one) => (pattern.test(one.name) ? wide(one) : one)),
      );
      await refused(
        read(files),
        /: Unsupported type F64 of a tensor that is stored in another order/,
        UnsupportedError,
      );
    }
  });
});
