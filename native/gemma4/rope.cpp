#include "gemma4/rope.h"

#include "kernels/kernels.h"

namespace mlx_gemma::gemma4 {

Rope::Rope(const std::vector<float>& inverse_frequencies)
    : inverse_frequencies_(inverse_frequencies.begin(), {static_cast<int>(inverse_frequencies.size())},
                           mlx::core::float32) {}

array Rope::operator()(const array& x, int position) const {
  return kernels::rope(x, inverse_frequencies_, position);
}

}  // namespace mlx_gemma::gemma4
