#include "gemma4/per_layer_inputs.h"

#include <cmath>

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

PerLayerInputs::PerLayerInputs(const Config& config, const Weights& weights)
    : num_layers_(config.num_layers()),
      size_(config.hidden_size_per_layer_input),
      embed_tokens_per_layer_(weights, "embed_tokens_per_layer", config.vocab_size, num_layers_ * size_,
                              std::sqrt(static_cast<double>(size_))),
      per_layer_model_projection_(weights, "per_layer_model_projection", config.hidden_size,
                                  num_layers_ * size_),
      per_layer_projection_norm_(weights, "per_layer_projection_norm", size_, config.rms_norm_eps),
      projection_scale_(1 / std::sqrt(static_cast<double>(config.hidden_size))),
      input_scale_(1 / std::sqrt(2.0)) {}

array PerLayerInputs::operator()(const array& tokens, const array& h) const {
  const int length = h.shape(1);
  array context = projection_scale_(per_layer_model_projection_(h));  // (1, T, L * P)
  context =
      per_layer_projection_norm_(mx::reshape(context, {1, length, num_layers_, size_}));  // (1, T, L, P)
  context = mx::reshape(context, {1, length, num_layers_ * size_});
  return input_scale_(mx::add(context, embed_tokens_per_layer_(tokens)));
}

array PerLayerInputs::of_layer(const array& per_layer, int layer) const {
  return mx::slice(per_layer, {0, 0, layer * size_}, {1, per_layer.shape(1), (layer + 1) * size_});
}

}  // namespace mlx_gemma::gemma4
