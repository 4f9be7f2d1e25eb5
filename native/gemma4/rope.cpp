#include "gemma4/rope.h"

#include "kernels/kernels.h"

namespace mlx_gemma::gemma4 {

Rope::Rope(const std::vector<float>& inverse_frequencies)
    : inverse_frequencies_(inverse_frequencies.begin(), {static_cast<int>(inverse_frequencies.size())},
                           mlx::core::float32) {}

array Rope::table(int position, int rows, mlx::core::Dtype dtype) const {
  return kernels::rope_table(inverse_frequencies_, position, rows, dtype);
}

}  // namespace mlx_gemma::gemma4
