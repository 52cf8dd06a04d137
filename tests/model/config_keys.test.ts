// Keys below the architecture's name: understood, harmless, or refused by name.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Llama, UnsupportedError } from "../../src/mod.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { readConfig } from "../../src/model/read_model.ts";
import { type GgufValue, meta, metaArray, tinyLlamaGguf } from "../support/gguf_writer.ts";
import { llamaKeys, modelHeader } from "../support/model_file.ts";

function config(keys: Record<string, GgufValue> = {}): ModelConfig {
  return readConfig(modelHeader({ tensors: { "token_embd.weight": [[300, 64]] }, metadata: keys }));
}

/** Values that change nothing, and values that ask for another computation; by the name after "llama.". */
const cases: Record<string, { neutral: GgufValue[]; others: GgufValue[] }> = {};
const u32 = (value: number) => meta("u32", value);
const f32 = (value: number) => meta("f32", value);
const add = (keys: string, neutral: GgufValue[], others: GgufValue[]) => {
  for (const key of keys.split(" ")) cases[key] = { neutral, others };
};
add("attention.causal", [meta("bool", true)], [meta("bool", false), u32(0), u32(1), f32(0)]);
add("hidden_activation", [meta("string", "silu")], [meta("string", "gelu"), meta("string", "")]);
add(
  "use_parallel_residual swin_norm expert_weights_norm",
  [meta("bool", false)],
  [meta("bool", true), u32(1)],
);
add(
  "logit_scale residual_scale embedding_scale attention.output_scale attention.value_scale expert_weights_scale rope.scaling.alpha",
  [f32(0), f32(1), meta("f64", 1)],
  [
    f32(0.5),
    f32(-1),
    f32(Number.NaN),
    f32(1.0000001192092896),
    meta("string", "1"),
    metaArray("f32", [1, 2]),
  ],
);
add(
  "attn_logit_softcapping final_logit_softcapping router_logit_softcapping attention.max_alibi_bias attention.clamp_kqv",
  [f32(0), f32(-0)],
  [f32(30), f32(-1), f32(Number.POSITIVE_INFINITY), meta("bool", false)],
);
add(
  "leading_dense_block_count nextn_predict_layers expert_used_count expert_shared_count expert_group_count " +
    "expert_feed_forward_length expert_shared_feed_forward_length expert_gating_func interleave_moe_layer_step " +
    "moe_every_n_layers attention.q_lora_rank attention.kv_lora_rank attention.relative_buckets_count " +
    "attention.temperature_length attention.shared_kv_layers embedding_length_per_layer_input n_deepstack_layers " +
    "full_attention_interval",
  [u32(0), meta("u64", 0), metaArray("u32", [0, 0])],
  [u32(1), u32(7), metaArray("u32", [0, 1])],
);
add("attention.scale", [f32(0), f32(1 / 4), meta("f64", 0.25)], [f32(1), f32(0.2501), f32(Number.NaN)]);
add("attention.sliding_window", [u32(0), u32(128), u32(4096)], [u32(1), u32(127), meta("u64", 2n ** 60n)]);
add("embedding_length_out", [u32(0), u32(64)], [u32(65)]);
add("rope.dimension_sections", [metaArray("i32", [0, 0, 0, 0])], [metaArray("i32", [8, 8, 0, 0])]);
add(
  "attention.sliding_window_pattern",
  [metaArray("bool", [false, false])],
  [metaArray("bool", [true, false])],
);
add(
  "tensor_data_layout",
  [meta("string", "Meta AI original pth"), meta("string", "reference")],
  [meta("string", "jploski"), u32(0)],
);
add(
  "nonsense causal attention attention. ssm.conv_kernel wkv.head_size attention.indexer.top_k classifier.output_labels " +
    "decoder_start_token_id rope.freq_base_swa rope.scaling.low_freq_factor attention.key_length_swa __proto__",
  [],
  [u32(0), f32(0), meta("bool", false), meta("string", ""), metaArray("u32", [])],
);

/** Keys that converters write and that change nothing, whatever they say. */
const harmless: [string, GgufValue][] = [
  ["vocab_size", u32(32000)],
  ["pooling_type", u32(3)],
  ["attention.layer_norm_epsilon", f32(1e-6)],
  ["rope.scaling.original_context_length", u32(8192)],
  ["rope.scaling.dynamic_factor", f32(1)],
  ["rope.scaling.finetuned", meta("bool", true)],
  ["rope.scaling.yarn_log_multiplier", f32(0.1)],
  ["rope.scaling.yarn_ext_factor", f32(1)],
  ["rope.scaling.yarn_attn_factor", f32(1)],
  ["rope.scaling.yarn_beta_fast", f32(32)],
  ["rope.scaling.yarn_beta_slow", f32(1)],
  ["rope.scaling.yarn_truncate", meta("bool", false)],
];

const text = ({ type, value }: GgufValue) => (type === "array" ? "" : String(value));

describe("keys below the architecture's name", () => {
  for (const [key, { neutral, others }] of Object.entries(cases)) {
    const name = `llama.${key}`;
    it(`readConfig() takes ${name} at ${neutral.map(text).join(" and ") || "no value"} only`, () => {
      for (const value of neutral) assert.deepEqual(config({ [name]: value }), config(), text(value));
      for (const value of others) {
        assert.throws(
          () => config({ [name]: value }),
          (error) => {
            assert.ok(error instanceof UnsupportedError, `${error}`);
            const start = `Cannot load m: Unsupported metadata key ${JSON.stringify(name)}: `;
            assert.ok(error.message.startsWith(start), error.message);
            if (value.type !== "array") assert.ok(error.message.includes(text(value)), error.message);
            assert.match(error.message, /; supported: ./);
            return true;
          },
        );
      }
    });
  }

  it("readConfig() takes what changes no logit, whatever it says", () => {
    for (const [key, value] of harmless) assert.deepEqual(config({ [`llama.${key}`]: value }), config(), key);
    assert.deepEqual(
      config(Object.fromEntries(harmless.map(([key, value]) => [`llama.${key}`, value]))),
      config(),
    );
  });

  it("readConfig() refuses any other name", () => {
    const known = new Set([
      ...Object.keys(cases),
      ...harmless.map(([key]) => key),
      ...Object.keys(llamaKeys),
    ]);
    const letters = fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz._0");
    const names = fc.array(letters, { minLength: 1, maxLength: 30 }).map((all) => all.join(""));
    fc.assert(
      fc.property(names, (name) => {
        fc.pre(!known.has(name) && !known.has(`llama.${name}`));
        assert.throws(() => config({ [`llama.${name}`]: u32(0) }), UnsupportedError);
      }),
    );
  });

  it("Llama.load() computes the same with every key that changes nothing, and with numbers for each layer", async () => {
    const neutral = Object.entries(cases).flatMap(
      ([
        key,
        {
          neutral: [first],
        },
      ]) => (first === undefined ? [] : [[`llama.${key}`, first] as const]),
    );
    const perLayer: Record<string, GgufValue> = {
      "llama.attention.head_count": metaArray("u32", [4, 4]),
      "llama.attention.head_count_kv": metaArray("i32", [2, 2]),
      "llama.feed_forward_length": metaArray("u32", [96, 96]),
      "llama.rope.scaling.factor": f32(0),
      // The tiny model has heads of 16.
      "llama.attention.scale": f32(0.25),
    };
    const metadata = {
      ...Object.fromEntries(harmless.map(([key, value]) => [`llama.${key}`, value])),
      ...Object.fromEntries(neutral),
      ...perLayer,
    };
    await using plain = await Llama.load(tinyLlamaGguf().bytes, { threads: 1 });
    await using llama = await Llama.load(tinyLlamaGguf({ metadata }).bytes, { threads: 1 });
    assert.deepEqual(llama.config, plain.config);
    assert.deepEqual(await llama.logits([1, 270, 280]), await plain.logits([1, 270, 280]));
  });

  it("readConfig() leaves keys of other names alone", () => {
    for (const key of [
      "llama",
      "llamas.foo",
      "gemma.attention.causal",
      "general.foo",
      "quantize.imatrix.file",
      "xielu.beta",
    ]) {
      assert.deepEqual(config({ [key]: meta("bool", false) }), config(), key);
    }
  });

  it("readConfig() repeats no more than the beginning of a long key or value", () => {
    const long = "x".repeat(1e5);
    for (const keys of [{ [`llama.${long}`]: u32(1) }, { "llama.hidden_activation": meta("string", long) }]) {
      assert.throws(
        () => config(keys),
        (error) => error instanceof UnsupportedError && error.message.length < 400,
      );
    }
  });
});
