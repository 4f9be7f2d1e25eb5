import { describe, expect, it } from "vitest";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import type { ErrorCode } from "../../src/errors.js";
import { thrown } from "./helpers.js";

type Json = Readonly<Record<string, unknown>>;

const target = (config: Json, generation?: unknown) =>
  resolveTarget({ file: "config.json", config, generationFile: "generation_config.json", generation });
const text = (config: Json = {}, generation?: unknown) =>
  target({ model_type: "gemma4_text", ...config }, generation);
const assistant = (outer: Json = {}, inner: Json = {}) =>
  resolveAssistant({
    file: "config.json",
    config: {
      model_type: "gemma4_assistant",
      text_config: { model_type: "gemma4_text", num_hidden_layers: 4, ...inner },
      ...outer,
    },
  });

const pattern = (count: number, every: number) =>
  Array.from({ length: count }, (_, i) => ((i + 1) % every === 0 ? "full_attention" : "sliding_attention"));

describe("a target's config", () => {
  it("fills in the reference's defaults", () => {
    const config = text();
    expect(config).toMatchObject({
      modelType: "gemma4_text",
      vocabSize: 262_144,
      hiddenSize: 2304,
      numHeads: 8,
      hiddenSizePerLayerInput: 256,
      vocabSizePerLayerInput: 262_144,
      rmsNormEps: 1e-6,
      slidingWindow: 512,
      finalLogitSoftcapping: 0,
      eosTokenIds: [1],
      bosTokenId: 2,
      maxPositionEmbeddings: 131_072,
      declaredDtype: null,
    });
    expect(config.layers).toHaveLength(30);
    expect(config.layers.map((layer) => layer.type)).toEqual(pattern(30, 6));
    expect(config.layers[0]).toEqual({
      type: "sliding_attention",
      headDim: 256,
      numKvHeads: 4,
      intermediateSize: 9216,
      kvSource: 0,
      keyEqualsValue: false,
    });
    expect(config.layers[29]).toMatchObject({ headDim: 512, numKvHeads: 4, kvSource: 29 });
  });

  it("forces the last layer to full attention", () => {
    expect(text({ num_hidden_layers: 7 }).layers.map((layer) => layer.type)).toEqual([
      ...pattern(6, 6),
      "full_attention",
    ]);
    const types = text({ num_hidden_layers: 2, layer_types: ["full_attention", "sliding_attention"] }).layers;
    expect(types.map((layer) => layer.type)).toEqual(["full_attention", "full_attention"]);
  });

  it("reads E2B's shape: KV-shared layers, doubled there alone", () => {
    const config = target({
      model_type: "gemma4",
      eos_token_id: [1, 106],
      text_config: {
        model_type: "gemma4_text",
        num_hidden_layers: 35,
        layer_types: pattern(35, 5),
        hidden_size: 1536,
        intermediate_size: 6144,
        num_key_value_heads: 1,
        num_global_key_value_heads: null,
        num_kv_shared_layers: 20,
        use_double_wide_mlp: true,
        final_logit_softcapping: 30,
        use_bidirectional_attention: "vision",
      },
    });
    expect(config.eosTokenIds).toEqual([1, 106]);
    expect(config.layers.map((layer) => layer.intermediateSize)).toEqual([
      ...Array(15).fill(6144),
      ...Array(20).fill(12_288),
    ]);
    expect(config.layers.slice(0, 15).map((layer) => layer.kvSource)).toEqual(
      Array.from({ length: 15 }, (_, i) => i),
    );
    expect(config.layers.slice(15, 20).map((layer) => layer.kvSource)).toEqual([13, 13, 13, 13, 14]);
    expect(config.layers.every((layer) => !layer.keyEqualsValue && layer.numKvHeads === 1)).toBe(true);
  });

  it("reads 31B's shape: global K/V heads and no v_proj on full layers", () => {
    const config = text({
      num_hidden_layers: 60,
      num_attention_heads: 32,
      num_key_value_heads: 16,
      num_global_key_value_heads: 4,
      attention_k_eq_v: true,
      hidden_size_per_layer_input: 0,
      sliding_window: 1024,
    });
    expect(config.vocabSizePerLayerInput).toBe(0);
    expect(config.layers[4]).toMatchObject({ headDim: 256, numKvHeads: 16, keyEqualsValue: false });
    expect(config.layers[5]).toMatchObject({ headDim: 512, numKvHeads: 4, keyEqualsValue: true });
  });

  it("takes num_global_key_value_heads only with attention_k_eq_v", () => {
    expect(text({ num_global_key_value_heads: 2 }).layers[5]?.numKvHeads).toBe(4);
  });

  it("reads per_layer_config, with or without padded keys, and lets it win", () => {
    const own = {
      "05": { head_dim: 64, num_key_value_heads: 2 },
      "11": { head_dim: 64, num_key_value_heads: 2 },
    };
    const config = text({ num_hidden_layers: 12, per_layer_config: own, global_head_dim: 512 });
    expect(config.layers[5]).toMatchObject({ headDim: 64, numKvHeads: 2 });
    expect(config.layers[6]).toMatchObject({ headDim: 256, numKvHeads: 4 });
    expect(config.inverseFrequencies.full_attention).toHaveLength(32);
    expect(text({ num_hidden_layers: 6, per_layer_config: { 5: { head_dim: 64 } } }).layers[5]?.headDim).toBe(
      64,
    );
    // An empty map is not an absent one: full layers then have the sliding ones' heads.
    expect(text({ num_hidden_layers: 6, per_layer_config: {} }).layers[5]?.headDim).toBe(256);
  });

  it("merges end-of-sequence ids of both files", () => {
    expect(text({ eos_token_id: [106, 1] }, { eos_token_id: [1, 50] }).eosTokenIds).toEqual([1, 50, 106]);
    expect(text({ eos_token_id: null }, {}).eosTokenIds).toEqual([]);
    expect(text({}, { eos_token_id: 7 }).eosTokenIds).toEqual([1, 7]);
  });

  it("reads dtype by both names", () => {
    expect(text({ dtype: "bfloat16" }).declaredDtype).toBe("bfloat16");
    expect(text({ torch_dtype: "torch.float16" }).declaredDtype).toBe("float16");
    expect(text({ dtype: "float64" }).declaredDtype).toBeNull();
  });
});

describe("rope", () => {
  it("equals the reference's tables", () => {
    const { inverseFrequencies: table } = text();
    const sliding = table.sliding_attention ?? new Float32Array();
    const full = table.full_attention ?? new Float32Array();
    expect(sliding).toHaveLength(128);
    expect(full).toHaveLength(256);
    // transformers 5.22.2, Gemma4TextRotaryEmbedding of the default config.
    expect([...sliding.slice(0, 4)]).toEqual([1, 0.9305720329284668, 0.8659643530845642, 0.8058422207832336]);
    expect(sliding[127]).toBe(0.00010746077896328643);
    expect([...full.slice(0, 3)]).toEqual([1, 0.9474635124206543, 0.8976871371269226]);
    expect(full[63]).toBe(0.03337624669075012);
    expect([...full.slice(64)]).toEqual(Array(192).fill(0));
  });

  it("takes parameters by layer type, factor and share for proportional rope alone", () => {
    const config = text({
      head_dim: 8,
      global_head_dim: 8,
      rope_parameters: {
        sliding_attention: {
          rope_type: "proportional",
          rope_theta: 16,
          partial_rotary_factor: 0.5,
          factor: 4,
        },
        full_attention: { rope_theta: 16, partial_rotary_factor: 0.5, factor: 4 },
      },
    });
    expect([...(config.inverseFrequencies.sliding_attention ?? [])]).toEqual([0.25, 0.125, 0, 0]);
    expect([...(config.inverseFrequencies.full_attention ?? [])]).toEqual([1, 0.5, 0.25, 0.125]);
  });
});

describe("an assistant's config", () => {
  it("fills in defaults", () => {
    const config = assistant();
    expect(config).toMatchObject({
      backboneHiddenSize: 1536,
      hiddenSize: 2304,
      vocabSize: 262_144,
      numHeads: 8,
    });
    expect(config.layers.map((layer) => layer.type)).toEqual([
      ...Array(3).fill("sliding_attention"),
      "full_attention",
    ]);
    expect(config.layers[3]).toEqual({
      type: "full_attention",
      headDim: 512,
      numKvHeads: 4,
      intermediateSize: 9216,
    });
    expect(config).not.toHaveProperty("centroidHead");
  });

  it("reads the centroid head, and only where it is used", () => {
    expect(assistant({ use_ordered_embeddings: true }).centroidHead).toEqual({
      numCentroids: 2048,
      topK: 32,
    });
    expect(assistant({ num_centroids: 2048 }, { vocab_size: 288 })).not.toHaveProperty("centroidHead");
  });

  it.each<[string, Json, Json]>([
    ["hidden_size_per_layer_input", {}, { hidden_size_per_layer_input: 256 }],
    ["use_double_wide_mlp", {}, { use_double_wide_mlp: true }],
    ["enable_moe_block", {}, { enable_moe_block: true }],
    ["num_kv_shared_layers", {}, { num_kv_shared_layers: 3 }],
    ["num_centroids", { use_ordered_embeddings: true, num_centroids: 1000 }, {}],
    ["centroid_intermediate_top_k", { use_ordered_embeddings: true, num_centroids: 16 }, {}],
    ["backbone_hidden_size", { backbone_hidden_size: 0 }, {}],
    ["text_config", { text_config: null }, {}],
  ])("refuses a wrong %s", (key, outer, inner) => {
    expect(thrown("checkpoint", () => assistant(outer, inner)).message).toContain(key);
  });

  it("counts all layers as shared, said or not", () => {
    expect(assistant({}, { num_kv_shared_layers: 4 })).toEqual(assistant({}, { num_kv_shared_layers: 0 }));
  });
});

describe("sizes at the kernels' limits", () => {
  it.each([
    ["head_dim", { head_dim: 1026 }, 0],
    ["global_head_dim", { global_head_dim: 2048 }, 5],
    ["per_layer_config", { num_hidden_layers: 6, per_layer_config: { 5: { head_dim: 8192 } } }, 5],
  ])("refuses larger heads that run: %s", (_, config, layer) => {
    const { message } = thrown("unsupported", () => text(config));
    expect(message).toMatch(`layer ${layer} has heads of`);
    expect(message).toMatch(/values, more than 1024, which this version of mlx-gemma cannot run yet/);
    thrown("unsupported", () => assistant({}, { head_dim: 2048 }));
  });

  it("takes the largest, and sizes that no layer has", () => {
    expect(text({ head_dim: 1024, global_head_dim: 1024 }).layers[5]?.headDim).toBe(1024);
    const own = { 1: { head_dim: 64 } };
    const config = { num_hidden_layers: 2, per_layer_config: own, global_head_dim: 2048 };
    expect(text(config).layers[1]?.headDim).toBe(64);
  });

  it("bounds windows, whose doubles C++ counts, at more than there is memory for", () => {
    const wide = { sliding_window: 2 ** 31 - 1 };
    expect(text(wide).slidingWindow).toBe(2 ** 29);
    expect(assistant({}, wide).slidingWindow).toBe(2 ** 29);
    expect(text({ sliding_window: 2 ** 20, max_position_embeddings: 512 }).slidingWindow).toBe(2 ** 20);
  });
});

describe("a hostile or mistaken config", () => {
  it.each<[string, Json]>([
    ["hidden_size", { hidden_size: 0 }],
    ["hidden_size", { hidden_size: -5 }],
    ["hidden_size", { hidden_size: 1e15 }],
    ["hidden_size", { hidden_size: 2.5 }],
    ["hidden_size", { hidden_size: "2304" }],
    ["hidden_size", { hidden_size: null }],
    ["num_hidden_layers", { num_hidden_layers: 1e9 }],
    ["num_hidden_layers", { num_hidden_layers: 0 }],
    ["vocab_size", { vocab_size: 2 ** 31 }],
    ["rms_norm_eps", { rms_norm_eps: 0 }],
    ["rms_norm_eps", { rms_norm_eps: "1e-6" }],
    ["sliding_window", { sliding_window: 0 }],
    ["head_dim", { head_dim: 7 }],
    ["num_key_value_heads", { num_key_value_heads: 3 }],
    ["layer_types", { layer_types: ["full_attention"] }],
    ["layer_types", { layer_types: "full_attention" }],
    ["layer_types.1", { num_hidden_layers: 2, layer_types: ["full_attention", 3] }],
    ["rope_parameters.full_attention", { rope_parameters: { sliding_attention: { rope_theta: 1e4 } } }],
    ["rope_parameters.sliding_attention.rope_theta", { rope_parameters: { sliding_attention: {} } }],
    [
      "rope_parameters.sliding_attention.rope_theta",
      { rope_parameters: { sliding_attention: { rope_theta: -1 } } },
    ],
    ["per_layer_config.30", { per_layer_config: { 30: { head_dim: 64 } } }],
    ["per_layer_config.-1", { per_layer_config: { "-1": { head_dim: 64 } } }],
    ["per_layer_config.05", { per_layer_config: { 5: { head_dim: 64 }, "05": { head_dim: 64 } } }],
    ["per_layer_config", { per_layer_config: { 5: { head_dim: 64 } } }],
    ["per_layer_config.5.head_dim", { per_layer_config: { 5: { head_dim: 0 } } }],
    ["num_kv_shared_layers", { num_kv_shared_layers: 30 }],
    ["num_kv_shared_layers", { num_kv_shared_layers: 25 }],
    ["final_logit_softcapping", { final_logit_softcapping: -30 }],
    ["eos_token_id", { eos_token_id: "1" }],
    ["eos_token_id", { eos_token_id: [1, -1] }],
    ["vocab_size_per_layer_input", { vocab_size_per_layer_input: 100 }],
    ["num_experts", { enable_moe_block: true }],
    ["num_experts", { enable_moe_block: true, num_experts: 0 }],
    ["num_experts", { num_experts: 1e9 }],
    ["top_k_experts", { enable_moe_block: true, num_experts: 8 }],
    ["top_k_experts", { enable_moe_block: true, num_experts: 8, top_k_experts: 9 }],
    ["moe_intermediate_size", { enable_moe_block: true, num_experts: 8, top_k_experts: 2 }],
    ["enable_moe_block", { enable_moe_block: "yes" }],
    ["model_type", { model_type: "llama" }],
    ["model_type", { model_type: undefined }],
  ])("is refused with its path: %s of %j", (key, config) => {
    const { message } = thrown("checkpoint", () => text(config));
    expect(message).toContain(`config.json: ${key}: `);
    expect(message).toMatch(/expected|stands twice/);
  });

  it("is refused whatever it is", () => {
    for (const config of [null, [], 3, "x"]) {
      expect(thrown("checkpoint", () => resolveTarget({ file: "config.json", config })).message).toContain(
        "expected a JSON object",
      );
    }
    expect(thrown("checkpoint", () => target({ model_type: "gemma4" })).message).toContain(
      "text_config: expected",
    );
    expect(thrown("checkpoint", () => text({}, { eos_token_id: {} })).message).toContain(
      "generation_config.json: eos_token_id: ",
    );
  });

  it("prints nothing of a value that would break the line", () => {
    const { message } = thrown("checkpoint", () => text({ model_type: `a\nb${"x".repeat(500)}` }));
    expect(message.length).toBeLessThan(300);
  });
});

describe("the wrong one of a pair", () => {
  it.each<[ErrorCode, string, () => unknown]>([
    ["usage", "found an assistant", () => text({ model_type: "gemma4_assistant" })],
    ["usage", "found an assistant", () => text({ model_type: "gemma4_unified_assistant" })],
    ["usage", "found a target", () => assistant({ model_type: "gemma4" })],
    ["usage", "found a target", () => assistant({ model_type: "gemma4_text" })],
    ["usage", "found a target", () => assistant({ model_type: "gemma4_unified" })],
    ["usage", "found a target", () => assistant({ model_type: "gemma4_unified_text" })],
    [
      "checkpoint",
      'expected "gemma4_assistant" or "gemma4_unified_assistant"',
      () => assistant({ model_type: "llama" }),
    ],
  ])("is a %s error: %s", (code, words, action) => {
    expect(thrown(code, action).message).toContain(words);
  });
});
