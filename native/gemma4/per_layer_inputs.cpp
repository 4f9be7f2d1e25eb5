#include "gemma4/per_layer_inputs.h"

#include <cmath>

namespace mlx_gemma::gemma4 {

PerLayerInputs::PerLayerInputs(const Config& config, const Weights& weights)
    : embed_tokens_per_layer_(weights, "embed_tokens_per_layer", config.vocab_size,
                              config.num_layers() * config.hidden_size_per_layer_input,
                              std::sqrt(static_cast<double>(config.hidden_size_per_layer_input))),
      per_layer_model_projection_(weights, "per_layer_model_projection", config.hidden_size,
                                  config.num_layers() * config.hidden_size_per_layer_input),
      mix_{.norm = weights.at("per_layer_projection_norm.weight", {config.hidden_size_per_layer_input}),
           .eps = config.rms_norm_eps,
           .projection_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(config.hidden_size))),
           .scale = static_cast<float>(1 / std::sqrt(2.0))} {}

array PerLayerInputs::operator()(const array& tokens, const array& h) const {
  return kernels::per_layer_inputs(per_layer_model_projection_(h), embed_tokens_per_layer_(tokens), mix_);
}

}  // namespace mlx_gemma::gemma4
