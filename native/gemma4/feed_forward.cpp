#include "gemma4/feed_forward.h"

#include <memory>

#include "gemma4/experts.h"

namespace mlx_gemma::gemma4 {

kernels::FeedForwardLayer feed_forward_layer(const Config& config, int index, const Weights& weights,
                                             const std::string& layer) {
  const int hidden = config.hidden_size, inner = config.layers[index].intermediate_size;
  kernels::FeedForwardLayer made{
      .pre_feedforward_layernorm = weights.at(layer + ".pre_feedforward_layernorm.weight", {hidden}),
      .gate_proj = weights.stored(layer + ".mlp.gate_proj", {inner, hidden}),
      .up_proj = weights.stored(layer + ".mlp.up_proj", {inner, hidden}),
      .down_proj = weights.stored(layer + ".mlp.down_proj", {hidden, inner}),
      .post_feedforward_layernorm = weights.at(layer + ".post_feedforward_layernorm.weight", {hidden}),
      .experts = nullptr,
      .per_layer_input = std::nullopt,
      .layer_scalar = weights.at(layer + ".layer_scalar", {1}),
      .eps = config.rms_norm_eps};
  if (config.experts) {
    made.experts = [block = std::make_shared<const ExpertsBlock>(config, weights, layer)](
                       const array& dense, const array& h) { return (*block)(dense, h); };
  }
  if (const int size = config.hidden_size_per_layer_input; size > 0) {
    made.per_layer_input = kernels::FeedForwardLayer::PerLayerInput{
        .gate = weights.stored(layer + ".per_layer_input_gate", {size, hidden}),
        .projection = weights.stored(layer + ".per_layer_projection", {hidden, size}),
        .norm = weights.at(layer + ".post_per_layer_input_norm.weight", {hidden})};
  }
  return made;
}

}  // namespace mlx_gemma::gemma4
