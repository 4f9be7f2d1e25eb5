// Per-layer inputs: a small embedding of the token for every layer (E2B, E4B).
#pragma once

#include <string>

#include "gemma4/config.h"
#include "gemma4/weights.h"

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
  /** Layer i's part of the above: (1, T, P). */
  array of_layer(const array& per_layer, int layer) const;

 private:
  int num_layers_;
  int size_;
  Embedding embed_tokens_per_layer_;
  Linear per_layer_model_projection_;
  RmsNorm per_layer_projection_norm_;
  Scale projection_scale_;
  Scale input_scale_;
};

}  // namespace mlx_gemma::gemma4
