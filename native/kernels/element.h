// The element types of the kernels as plain storage.
#pragma once

#include <cstdint>

namespace mlx_gemma::kernels {

/** bfloat16: the upper half of a float32. */
struct bf16 {
  std::uint16_t bits;
};

/** IEEE binary16. */
struct f16 {
  std::uint16_t bits;
};

}  // namespace mlx_gemma::kernels
