// Four elements at a time, on 128 bits. Only for files compiled for AVX2 or more; each has its own copy, as
// of simd_codes.h.
#pragma once

#include <immintrin.h>

#include "element.h"

namespace mlx_gemma::kernels {
namespace {

/** Four elements in their order. */
inline void widen_four(const bf16* p, float* out) {
  const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_slli_epi32(_mm_cvtepu16_epi32(bits), 16));
}

/** The same back, to nearest even; any NaN becomes the quiet one. */
inline void narrow_four(const float* in, bf16* p) {
  const __m128 a = _mm_loadu_ps(in);
  const __m128i bits = _mm_castps_si128(a);
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
  const __m128i up = _mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(0x7fff)));
  const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(a, a));
  const __m128i kept = _mm_srli_epi32(_mm_blendv_epi8(up, _mm_set1_epi32(0x7fc00000), nan), 16);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(kept, kept));
}
inline void narrow_four(const float* in, f16* p) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_cvtps_ph(_mm_loadu_ps(in), _MM_FROUND_TO_NEAREST_INT));
}
inline void narrow_four(const float* in, float* p) { _mm_storeu_ps(p, _mm_loadu_ps(in)); }

}  // namespace
}  // namespace mlx_gemma::kernels
