import { describe, expect, it } from "vitest";
import { resolveAssistant, resolveTarget } from "../../src/checkpoint/config.js";
import { thrown } from "./helpers.js";
import type { Json } from "./real-models.js";

const target = (config: Json) => resolveTarget({ file: "config.json", config });
const text = (config: Json = {}) => target({ model_type: "gemma4_text", ...config });
const assistant = (inner: Json) =>
  resolveAssistant({
    file: "config.json",
    config: { model_type: "gemma4_assistant", text_config: { num_hidden_layers: 4, ...inner } },
  });

describe("what is not there", () => {
  it.each<[string, Json]>([
    ["attention_bias", { attention_bias: true }],
    ["attn_logit_softcapping", { attn_logit_softcapping: 50 }],
    ["query_pre_attn_scalar", { query_pre_attn_scalar: 256 }],
    ["use_bidirectional_attention", { use_bidirectional_attention: "all" }],
    ["use_bidirectional_attention", { use_bidirectional_attention: true }],
    ["hidden_activation", { hidden_activation: "silu" }],
    ["hidden_act", { hidden_act: "gelu" }],
    ["rope_scaling", { rope_scaling: { type: "linear", factor: 8 } }],
    ["sliding_window_pattern", { sliding_window_pattern: 5 }],
    ["use_second_mlp_block", { use_second_mlp_block: true }],
    ["n_shared_experts", { n_shared_experts: 1 }],
    ["norm_topk_prob", { norm_topk_prob: false }],
    [
      "rope_parameters.sliding_attention",
      { rope_parameters: { sliding_attention: { rope_type: "yarn", rope_theta: 1e4 } } },
    ],
    [
      "rope_parameters.full_attention.mrope_section",
      { rope_parameters: { full_attention: { rope_theta: 1e4, mrope_section: [1, 2] } } },
    ],
    ["layer_types.0", { num_hidden_layers: 1, layer_types: ["chunked_attention"] }],
    ["tie_word_embeddings", { tie_word_embeddings: false }],
    ["per_layer_config.3", { per_layer_config: { 3: { intermediate_size: 4 } } }],
  ])("is refused by name: %s of %j", (key, config) => {
    const { message } = thrown("unsupported", () => text(config));
    expect(message).toContain(`config.json: ${key}: `);
    expect(message).toContain("this version");
  });

  it("is refused by name in the text part and in an assistant", () => {
    const inner = { model_type: "gemma4", text_config: { attention_bias: true } };
    expect(thrown("unsupported", () => target(inner)).message).toContain("text_config.attention_bias");
    expect(thrown("unsupported", () => assistant({ hidden_act: "relu" })).message).toContain(
      "text_config.hidden_act",
    );
  });

  it.each<Json>([
    { attention_bias: false, attn_logit_softcapping: null, query_pre_attn_scalar: null, rope_scaling: null },
    { use_bidirectional_attention: null },
    { use_bidirectional_attention: false },
    { use_bidirectional_attention: "vision" },
    { hidden_act: "gelu_pytorch_tanh", layer_types: null, sliding_window_pattern: 6 },
    { num_experts: null, top_k_experts: null, moe_intermediate_size: null },
    { num_experts: 8, top_k_experts: 99 },
    { attention_dropout: 0.1, use_cache: false, some_new_key: { deep: [1] }, mlp_only_layers: [] },
  ])("changes nothing: %j", (config) => {
    expect(text(config)).toEqual(text());
  });
});
