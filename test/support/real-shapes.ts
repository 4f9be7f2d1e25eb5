/** The config.json of each published size, with the keys that decide on shapes. */
const pattern = (layers: number, sliding: number) =>
  Array.from({ length: layers }, (_, index) =>
    (index + 1) % (sliding + 1) === 0 || index === layers - 1 ? "full_attention" : "sliding_attention",
  );

const common = { model_type: "gemma4_text", vocab_size: 262144, head_dim: 256, global_head_dim: 512 };
const wide = {
  attention_k_eq_v: true,
  sliding_window: 1024,
  hidden_size_per_layer_input: 0,
  num_kv_shared_layers: 0,
};

/** By the size's name. */
export const REAL_SHAPES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  E2B: {
    ...common,
    hidden_size: 1536,
    num_hidden_layers: 35,
    layer_types: pattern(35, 4),
    intermediate_size: 6144,
    use_double_wide_mlp: true,
    num_attention_heads: 8,
    num_key_value_heads: 1,
    sliding_window: 512,
    num_kv_shared_layers: 20,
    hidden_size_per_layer_input: 256,
    vocab_size_per_layer_input: 262144,
  },
  E4B: {
    ...common,
    hidden_size: 2560,
    num_hidden_layers: 42,
    layer_types: pattern(42, 5),
    intermediate_size: 10240,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    sliding_window: 512,
    num_kv_shared_layers: 18,
    hidden_size_per_layer_input: 256,
    vocab_size_per_layer_input: 262144,
  },
  "12B": {
    ...common,
    ...wide,
    hidden_size: 3840,
    num_hidden_layers: 48,
    layer_types: pattern(48, 5),
    intermediate_size: 15360,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    num_global_key_value_heads: 1,
  },
  "26B-A4B": {
    ...common,
    ...wide,
    hidden_size: 2816,
    num_hidden_layers: 30,
    layer_types: pattern(30, 5),
    intermediate_size: 2112,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    num_global_key_value_heads: 2,
    enable_moe_block: true,
    num_experts: 128,
    top_k_experts: 8,
    moe_intermediate_size: 704,
  },
  "31B": {
    ...common,
    ...wide,
    hidden_size: 5376,
    num_hidden_layers: 60,
    layer_types: pattern(60, 5),
    intermediate_size: 21504,
    num_attention_heads: 32,
    num_key_value_heads: 16,
    num_global_key_value_heads: 4,
  },
};
