// Codes of packed weights into lanes, on 256 bits. Only for files compiled for AVX2; each has its own copy,
// since a shared one might be the one that needs more than AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mlx_gemma::kernels {
namespace {

/** Where lane i of eight finds its two codes of B bits: four bytes from the first, and a shift. */
template <int B>
struct LanesOfCodes {
  alignas(32) std::uint8_t bytes[32];
  alignas(32) std::uint32_t shifts[8];
  constexpr LanesOfCodes() : bytes(), shifts() {
    for (int lane = 0; lane < 8; ++lane) {
      for (int i = 0; i < 4; ++i) bytes[4 * lane + i] = static_cast<std::uint8_t>(2 * B * lane / 8 + i);
      shifts[lane] = 2 * B * lane % 8;
    }
  }
};
template <int B>
constexpr LanesOfCodes<B> kLanesOfCodes;

/** Codes 2 i and 2 i + 1 of B bits in the low bits of lane i; above them anything. Reads 16 bytes. */
template <int B>
inline __m256i lanes_of_codes(const std::uint8_t* p) {
  const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const auto* where = reinterpret_cast<const __m256i*>(kLanesOfCodes<B>.bytes);
  const auto* shifts = reinterpret_cast<const __m256i*>(kLanesOfCodes<B>.shifts);
  return _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, _mm256_load_si256(where)), _mm256_load_si256(shifts));
}

}  // namespace
}  // namespace mlx_gemma::kernels
