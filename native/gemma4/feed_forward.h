// What follows attention in one layer.
#pragma once

#include <string>

#include "gemma4/config.h"
#include "gemma4/weights.h"
#include "kernels/blocks.h"

namespace mlx_gemma::gemma4 {

/**
 * The second half of Gemma4TextDecoderLayer in modeling_gemma4.py: the MLP (`layer`.mlp) and its norms, the
 * mixture of experts beside it, the gate of the per-layer input, and layer_scalar.
 */
kernels::FeedForwardLayer feed_forward_layer(const Config& config, int index, const Weights& weights,
                                             const std::string& layer);

}  // namespace mlx_gemma::gemma4
