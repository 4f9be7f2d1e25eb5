// Self-attention of one layer.
#pragma once

#include <string>

#include "gemma4/config.h"
#include "gemma4/weights.h"
#include "kernels/blocks.h"

namespace mlx_gemma::gemma4 {

/**
 * Gemma4TextAttention of modeling_gemma4.py with the norms around it: reads `layer`.self_attn,
 * `layer`.input_layernorm and `layer`.post_attention_layernorm. Producer layers have `kv`, without v_proj
 * where attention_k_eq_v makes the values of the raw keys.
 */
kernels::AttentionLayer attention_layer(const Config& config, int index, const Weights& weights,
                                        const std::string& layer);

}  // namespace mlx_gemma::gemma4
