#include "gemma4/attention.h"

namespace mlx_gemma::gemma4 {

namespace {

/** Gemma 4 does not divide the scores by sqrt(head_dim): q_norm and k_norm set their size. */
constexpr float kScale = 1.0f;

kernels::AttentionLayer::KeysValues keys_values(const Config& config, const LayerConfig& own,
                                                const Weights& weights, const std::string& name) {
  const int size = own.num_kv_heads * own.head_dim;
  kernels::AttentionLayer::KeysValues kv{
      .k_proj = weights.stored(name + ".k_proj", {size, config.hidden_size}),
      .v_proj = std::nullopt,
      .k_norm = weights.at(name + ".k_norm.weight", {own.head_dim})};
  if (!own.key_equals_value) kv.v_proj = weights.stored(name + ".v_proj", {size, config.hidden_size});
  return kv;
}

}  // namespace

kernels::AttentionLayer attention_layer(const Config& config, int index, const Weights& weights,
                                        const std::string& layer) {
  const LayerConfig& own = config.layers[index];
  const std::string name = layer + ".self_attn";
  const int hidden = config.hidden_size, size = config.num_heads * own.head_dim;
  kernels::AttentionLayer made{
      .input_layernorm = weights.at(layer + ".input_layernorm.weight", {hidden}),
      .q_proj = weights.stored(name + ".q_proj", {size, hidden}),
      .q_norm = weights.at(name + ".q_norm.weight", {own.head_dim}),
      .o_proj = weights.stored(name + ".o_proj", {hidden, size}),
      .post_attention_layernorm = weights.at(layer + ".post_attention_layernorm.weight", {hidden}),
      .kv = std::nullopt,
      .heads = config.num_heads,
      .eps = config.rms_norm_eps,
      .scale = kScale};
  if (config.is_producer(index)) made.kv = keys_values(config, own, weights, name);
  return made;
}

}  // namespace mlx_gemma::gemma4
