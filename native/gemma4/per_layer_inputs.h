// Per-layer inputs: a small embedding of the token for every layer (E2B, E4B).
#pragma once

#include <string>

#include "gemma4/config.h"
#include "gemma4/weights.h"
#include "kernels/blocks.h"

namespace mlx_gemma::gemma4 {

/**
 * What each layer is told of a token: its own embedding and a projection of the model's, mixed
 * (get_per_layer_inputs and project_per_layer_inputs of Gemma4TextModel in modeling_gemma4.py).
 * L layers, P = hidden_size_per_layer_input.
 */
class PerLayerInputs {
 public:
  PerLayerInputs(const Config& config, const Weights& weights);
  /** tokens int32 (1, T) and h = embed(tokens) (1, T, H) → (1, T, L * P) */
  array operator()(const array& tokens, const array& h) const;

 private:
  Embedding embed_tokens_per_layer_;
  Linear per_layer_model_projection_;
  kernels::PerLayerMix mix_;
};

}  // namespace mlx_gemma::gemma4
