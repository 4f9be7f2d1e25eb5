// The five real Gemma 4 models: every number that shapes a checkpoint, at reduced depth. Only num_hidden_layers,
// num_kv_shared_layers and layer_types differ from the published ones; one whole period of each pattern is kept.

const S = "sliding_attention";
const F = "full_attention";
/** `sliding` sliding layers, then a full one. */
const period = (sliding) => [...Array(sliding).fill(S), F];

const VOCAB = 262_144;

const text = (shape) => ({
  model_type: "gemma4_text",
  vocab_size: VOCAB,
  vocab_size_per_layer_input: VOCAB,
  head_dim: 256,
  global_head_dim: 512,
  hidden_activation: "gelu_pytorch_tanh",
  max_position_embeddings: 131_072,
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  use_cache: true,
  pad_token_id: 0,
  eos_token_id: 1,
  bos_token_id: 2,
  tie_word_embeddings: true,
  rope_parameters: {
    full_attention: { partial_rotary_factor: 0.25, rope_theta: 1_000_000.0, rope_type: "proportional" },
    sliding_attention: { rope_theta: 10_000.0, rope_type: "default" },
  },
  attention_bias: false,
  attention_dropout: 0.0,
  final_logit_softcapping: 30.0,
  use_bidirectional_attention: null,
  hidden_size_per_layer_input: 0,
  attention_k_eq_v: false,
  num_kv_shared_layers: 0,
  num_global_key_value_heads: null,
  enable_moe_block: false,
  use_double_wide_mlp: false,
  num_experts: null,
  top_k_experts: null,
  moe_intermediate_size: null,
  ...shape,
  num_hidden_layers: shape.layer_types.length,
});

/**
 * An assistant of `target`: four layers that own no K/V. The E4B one's sizes are published with its 159 MB; those of
 * the dense heads follow from the 470 M parameters of the 31B's.
 */
const assistant = (target, { centroids, ...shape }) => ({
  backbone_hidden_size: target.hidden_size,
  use_ordered_embeddings: centroids,
  num_centroids: 2048,
  centroid_intermediate_top_k: 32,
  text_config: text({
    ...shape,
    layer_types: period(3),
    num_kv_shared_layers: 4,
    num_key_value_heads: target.num_key_value_heads,
    num_global_key_value_heads: target.num_global_key_value_heads ?? null,
    attention_k_eq_v: target.attention_k_eq_v ?? false,
    sliding_window: target.sliding_window,
    final_logit_softcapping: null,
  }),
});

const small = { centroids: true, hidden_size: 256, intermediate_size: 2048, num_attention_heads: 4 };
const large = (heads) => ({
  centroids: false,
  hidden_size: 1024,
  intermediate_size: 8192,
  num_attention_heads: heads,
});

const SHAPES = {
  E2B: {
    // Producers, then as many layers that share their K/V: the doubled MLP is theirs.
    layer_types: [...period(4), ...period(4)],
    num_kv_shared_layers: 5,
    hidden_size: 1536,
    intermediate_size: 6144,
    use_double_wide_mlp: true,
    num_attention_heads: 8,
    num_key_value_heads: 1,
    sliding_window: 512,
    hidden_size_per_layer_input: 256,
  },
  E4B: {
    layer_types: [...period(5), ...period(5)],
    num_kv_shared_layers: 6,
    hidden_size: 2560,
    intermediate_size: 10_240,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    sliding_window: 512,
    hidden_size_per_layer_input: 256,
  },
  "12B": {
    layer_types: period(5),
    hidden_size: 3840,
    intermediate_size: 15_360,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    num_global_key_value_heads: 1,
    attention_k_eq_v: true,
    sliding_window: 1024,
  },
  "26B-A4B": {
    layer_types: period(5),
    hidden_size: 2816,
    intermediate_size: 2112,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    num_global_key_value_heads: 2,
    attention_k_eq_v: true,
    sliding_window: 1024,
    enable_moe_block: true,
    num_experts: 128,
    top_k_experts: 8,
    moe_intermediate_size: 704,
  },
  "31B": {
    layer_types: period(5),
    hidden_size: 5376,
    intermediate_size: 21_504,
    num_attention_heads: 32,
    num_key_value_heads: 16,
    num_global_key_value_heads: 4,
    attention_k_eq_v: true,
    sliding_window: 1024,
  },
  /** For tests: the E2B's traits and vocabulary in the smallest layers that can be quantized in groups of 64. */
  small: {
    layer_types: [S, F, S, F],
    num_kv_shared_layers: 2,
    hidden_size: 64,
    intermediate_size: 128,
    use_double_wide_mlp: true,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 64,
    global_head_dim: 128,
    sliding_window: 16,
    hidden_size_per_layer_input: 64,
  },
};

export const MODELS = Object.keys(SHAPES).filter((name) => name !== "small");

/** Published parameters of a model: what its outer config is, and the two text configs. */
export function describeModel(name) {
  const shape = SHAPES[name];
  if (!shape) throw new Error(`no model ${name}: there are ${Object.keys(SHAPES).join(", ")}`);
  const unified = name === "12B";
  const family = unified ? "gemma4_unified" : "gemma4";
  const target = text(shape);
  const drafter = assistant(
    shape,
    name === "small"
      ? {
          ...small,
          hidden_size: 64,
          intermediate_size: 64,
          num_attention_heads: 2,
          head_dim: 64,
          global_head_dim: 128,
        }
      : name.startsWith("E")
        ? small
        : large(shape.num_attention_heads),
  );
  if (unified) for (const config of [target, drafter.text_config]) toUnified(config);
  const hasAudio = unified || !["26B-A4B", "31B"].includes(name);
  return { name, family, hasAudio, target, assistant: drafter };
}

/** What a `gemma4_unified_text` config does not have. */
function toUnified(config) {
  config.model_type = "gemma4_unified_text";
  config.use_bidirectional_attention = "vision";
  config.max_position_embeddings = 262_144;
  for (const key of [
    "vocab_size_per_layer_input",
    "hidden_size_per_layer_input",
    "enable_moe_block",
    "num_experts",
    "top_k_experts",
    "moe_intermediate_size",
  ]) {
    delete config[key];
  }
}
