// Packed weights as plain numbers that a task can carry, and what their codes stand for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantization_mode.h"

namespace mlx_gemma::kernels {

/** The rows of one packed matrix. */
struct PackedRows {
  const std::uint8_t* codes;
  std::ptrdiff_t codes_stride;  // bytes from row to row
  const void* scales;
  std::ptrdiff_t scales_stride;  // elements from row to row
  const void* biases;            // affine only
  std::ptrdiff_t biases_stride;
  int scales_type;  // Element of scales and biases, affine only
  int group_size;
  int bits;
  QuantizationMode mode;
};

/** 4 bit floats: sign, 2 bits of exponent, 1 bit of mantissa. */
alignas(64) constexpr float kE2m1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                         -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

/** 8 bit floats: sign, 4 bits of exponent, 3 bits of mantissa; all ones are NaN. */
struct E4m3Values {
  float at[256];
  constexpr E4m3Values() : at() {
    for (int code = 0; code < 256; ++code) {
      const int exponent = code >> 3 & 15, mantissa = code & 7;
      float value = static_cast<float>(exponent == 0 ? mantissa : mantissa + 8);
      for (int e = exponent == 0 ? 1 : exponent; e < 10; ++e) value *= 0.5f;
      for (int e = exponent; e > 10; --e) value *= 2.0f;
      if ((code & 127) == 127) value = __builtin_nanf("");
      at[code] = code < 128 ? value : -value;
    }
  }
};
constexpr E4m3Values kE4m3;

}  // namespace mlx_gemma::kernels
