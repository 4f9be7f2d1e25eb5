// The feed-forward block.
#pragma once

#include <string>

#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/** `down(gelu_tanh(gate(x)) * up(x))` (Gemma4TextMLP in modeling_gemma4.py). */
class Mlp {
 public:
  /** Reads `name`.{gate,up,down}_proj. */
  Mlp(const Weights& weights, const std::string& name, int hidden_size, int intermediate_size);
  /** (1, T, H) → (1, T, H) */
  array operator()(const array& x) const;

 private:
  Linear gate_proj_;
  Linear up_proj_;
  Linear down_proj_;
};

}  // namespace mlx_gemma::gemma4
