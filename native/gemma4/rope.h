// Rotary position embedding of one layer type.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace mlx_gemma::gemma4 {

using mlx::core::array;

/**
 * Rotates halves: pair j is (j, j + d/2), turned by position * inverse_frequencies[j]
 * (Gemma4TextRotaryEmbedding and apply_rotary_pos_emb in modeling_gemma4.py). The frequencies are the
 * caller's, so that the "default" and "proportional" kinds are the same code; 0 leaves a pair as it is.
 */
class Rope {
 public:
  /** @param inverse_frequencies head_dim / 2 values, in radians for each position */
  explicit Rope(const std::vector<float>& inverse_frequencies);
  /** kernels::rope_table() of T rows, the first at `position`: (2, T, d / 2). */
  array table(int position, int rows, mlx::core::Dtype dtype) const;

 private:
  array inverse_frequencies_;
};

}  // namespace mlx_gemma::gemma4
