// Eight float lanes of AVX2 + FMA + F16C. Only for files compiled for it.
#pragma once

#include <immintrin.h>

#include "element.h"
#include "packed.h"
#include "simd_codes.h"
#include "simd_four.h"

namespace mlx_gemma::kernels {

struct Avx2 {
  static constexpr int lanes = 8;
  static constexpr int pair = 2 * lanes;
  /** Weight rows that R rows of x are multiplied with at a time: chains enough, and sums that fit the
   * registers. */
  static constexpr int columns[5] = {0, 8, 4, 3, 2};
  /** The same for 4 rows and weights that are floats already. */
  static constexpr int wide_columns = 3;
  /** Query rows whose sums over keys the registers hold. */
  static constexpr int tile_rows = 4;
  static constexpr bool kSixteen = false;
  using Float = __m256;

  static Float zero() { return _mm256_setzero_ps(); }
  static Float splat(float a) { return _mm256_set1_ps(a); }
  static Float load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Float a) { _mm256_storeu_ps(p, a); }
  /** Holds a in a register: GCC would rather read it from memory at each use. */
  static void hold(Float& a) { asm("" : "+x"(a)); }
  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float subtract(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float divide(Float a, Float b) { return _mm256_div_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  /** b where either is NaN. */
  static Float maximum(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float minimum(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float nearest(Float a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  /** a where x >= limit (or x is NaN), else 0. */
  static Float zero_below(Float a, Float x, Float limit) {
    return _mm256_and_ps(a, _mm256_cmp_ps(x, limit, _CMP_NLT_UQ));
  }
  /** a * 2^n for integral n in [-126, 127]. */
  static Float scale(Float a, Float n) {
    const __m256i bits =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(bits));
  }
  /** ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), as sum_four does for each of four. */
  static float sum(Float a) {
    __m128 half = _mm_hadd_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_hadd_ps(half, half);
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static void sum_four(Float a, Float b, Float c, Float d, float* out) {
    const __m256 fours = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1)));
  }
  static float largest(Float a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  /** Vector H (0 or 1) of the pair at p. */
  template <int H>
  static Float load_half(const float* p) {
    return _mm256_loadu_ps(p + H * lanes);
  }
  /** Even elements, then odd ones: a shift and a mask instead of two widenings. */
  template <int H>
  static Float load_half(const bf16* p) {
    const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm256_castsi256_ps(
        H == 0 ? _mm256_slli_epi32(both, 16)
               : _mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  template <int H>
  static Float load_half(const f16* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + H * lanes)));
  }
  template <class T>
  static void load_pair(const T* p, Float& a, Float& b) {
    a = load_half<0>(p);
    b = load_half<1>(p);
  }

  /** Four elements in their order, and back. */
  static void widen_four(const bf16* p, float* out) { kernels::widen_four(p, out); }
  template <class T>
  static void narrow_four(const float* in, T* p) {
    kernels::narrow_four(in, p);
  }

  static void store_pair(float* p, Float a, Float b) {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + lanes, b);
  }
  static void store_pair(bf16* p, Float a, Float b) {
    const __m256i even = _mm256_srli_epi32(bf16_bits(a), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(even, bf16_bits(b)));
  }
  static void store_pair(f16* p, Float a, Float b) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + lanes), _mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT));
  }

  /** Rounds to the type's precision, as a float. */
  static Float round_to(const float*, Float a) { return a; }
  static Float round_to(const bf16*, Float a) { return _mm256_castsi256_ps(bf16_bits(a)); }
  static Float round_to(const f16*, Float a) {
    return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }

  using Int = __m256i;
  /** Bytes that codes() reads. */
  template <int B>
  static constexpr int codes_reach() {
    return B == 4 ? 8 : 16;
  }
  /** The codes of a pair of elements of B bits each, from p: even elements, then odd ones. */
  template <int B>
  static void codes(const std::uint8_t* p, Int& even, Int& odd) {
    const auto* at = reinterpret_cast<const __m128i*>(p);
    const __m256i mask = _mm256_set1_epi32((1 << B) - 1);
    Int both;
    if constexpr (B == 4) {
      both = _mm256_cvtepu8_epi32(_mm_loadl_epi64(at));
    } else if constexpr (B == 8) {
      both = _mm256_cvtepu16_epi32(_mm_loadu_si128(at));
    } else {
      both = lanes_of_codes<B>(p);
    }
    even = _mm256_and_si256(both, mask);
    odd = _mm256_srli_epi32(both, B);
    if constexpr (B != 4 && B != 8) odd = _mm256_and_si256(odd, mask);
  }
  static Float to_float(Int a) { return _mm256_cvtepi32_ps(a); }
  static Float look_up(const float* table, Int a) { return _mm256_i32gather_ps(table, a, 4); }
  /** kE2m1[a]. */
  static Float e2m1(Int a) {
    const __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(a, 3), 31);
    return _mm256_or_ps(_mm256_permutevar8x32_ps(_mm256_load_ps(kE2m1), a), _mm256_castsi256_ps(sign));
  }
  /** Never needed: a pair holds no more than the smallest group. */
  static Float halves_of(float low, float) { return splat(low); }

 private:
  /** Nearest even in the upper 16 bits of each lane, the lower ones zero; any NaN becomes the quiet one. */
  static __m256i bf16_bits(Float a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i kept = _mm256_blendv_epi8(up, _mm256_set1_epi32(0x7fc00000), nan);
    return _mm256_and_si256(kept, _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
  }
};

}  // namespace mlx_gemma::kernels
