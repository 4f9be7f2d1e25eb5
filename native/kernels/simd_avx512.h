// Sixteen float lanes of AVX-512 F + DQ. Only for files compiled for it.
#pragma once

#include <immintrin.h>

#include "element.h"
#include "packed.h"
#include "simd_codes.h"
#include "simd_four.h"

namespace mlx_gemma::kernels {

struct Avx512 {
  static constexpr int lanes = 16;
  static constexpr int pair = 2 * lanes;
  /** Weight rows that R rows of x are multiplied with at a time: chains enough, and sums that fit the
   * registers. */
  static constexpr int columns[5] = {0, 8, 8, 6, 4};
  /** The same for 4 rows and weights that are floats already. */
  static constexpr int wide_columns = 6;
  /** Query rows whose sums over keys the registers hold. */
  static constexpr int tile_rows = 8;
  /** A vector is a table that four bits choose from. */
  static constexpr bool kSixteen = true;
  using Float = __m512;

  static Float zero() { return _mm512_setzero_ps(); }
  static Float splat(float a) { return _mm512_set1_ps(a); }
  static Float load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Float a) { _mm512_storeu_ps(p, a); }
  /** Holds a in a register: GCC would rather read it from memory at each use. */
  static void hold(Float& a) { asm("" : "+v"(a)); }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float subtract(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float divide(Float a, Float b) { return _mm512_div_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  /** b where either is NaN. */
  static Float maximum(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float minimum(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float nearest(Float a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /** a where x >= limit (or x is NaN), else 0. */
  static Float zero_below(Float a, Float x, Float limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), a);
  }
  /** a * 2^n for integral n. */
  static Float scale(Float a, Float n) { return _mm512_scalef_ps(a, n); }
  /** Halves, then as eight lanes; sum_four and sum_sixteen do the same for each of theirs. */
  static float sum(Float a) {
    const __m256 half = halves(a);
    __m128 quarter = _mm_hadd_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_hadd_ps(quarter, quarter);
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static void sum_four(Float a, Float b, Float c, Float d, float* out) {
    const __m256 fours =
        _mm256_hadd_ps(_mm256_hadd_ps(halves(a), halves(b)), _mm256_hadd_ps(halves(c), halves(d)));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1)));
  }
  static void sum_sixteen(const Float (&a)[16], float* out) {
    const Float p = quarters(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
    const Float q = quarters(a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
    store(out, add(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xdd)));
  }
  static float largest(Float a) {
    const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
  }

  /** Vector H (0 or 1) of the pair at p. */
  template <int H>
  static Float load_half(const float* p) {
    return _mm512_loadu_ps(p + H * lanes);
  }
  /** Even elements, then odd ones: a shift and a mask instead of two widenings. */
  template <int H>
  static Float load_half(const bf16* p) {
    const __m512i both = _mm512_loadu_si512(p);
    return _mm512_castsi512_ps(
        H == 0 ? _mm512_slli_epi32(both, 16)
               : _mm512_and_si512(both, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  template <int H>
  static Float load_half(const f16* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + H * lanes)));
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
    _mm512_storeu_ps(p, a);
    _mm512_storeu_ps(p + lanes, b);
  }
  static void store_pair(bf16* p, Float a, Float b) {
    const __m512i even = _mm512_srli_epi32(bf16_bits(a), 16);
    _mm512_storeu_si512(p, _mm512_or_si512(even, bf16_bits(b)));
  }
  static void store_pair(f16* p, Float a, Float b) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + lanes), _mm512_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT));
  }

  /** The first `count` lanes, rounded as store_pair rounds, in their order. */
  static void store_first(bf16* p, Float a, std::ptrdiff_t count) {
    const __mmask16 some = static_cast<__mmask16>(count >= lanes ? 0xffff : (1 << count) - 1);
    _mm512_mask_cvtepi32_storeu_epi16(p, some, _mm512_srli_epi32(bf16_bits(a), 16));
  }

  /** Rounds to the type's precision, as a float. */
  static Float round_to(const float*, Float a) { return a; }
  static Float round_to(const bf16*, Float a) { return _mm512_castsi512_ps(bf16_bits(a)); }
  static Float round_to(const f16*, Float a) {
    return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }

  using Int = __m512i;
  /** Bytes that codes() reads. */
  template <int B>
  static constexpr int codes_reach() {
    return B == 4 ? 16 : B == 8 ? 32 : 16 + 2 * B;
  }
  /** The codes of a pair of elements of B bits each, from p: even elements, then odd ones. */
  template <int B>
  static void codes(const std::uint8_t* p, Int& even, Int& odd) {
    const __m512i mask = _mm512_set1_epi32((1 << B) - 1);
    Int both;
    if constexpr (B == 4) {
      both = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    } else if constexpr (B == 8) {
      both = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    } else {
      both =
          _mm512_inserti64x4(_mm512_castsi256_si512(lanes_of_codes<B>(p)), lanes_of_codes<B>(p + 2 * B), 1);
    }
    even = _mm512_and_si512(both, mask);
    odd = _mm512_srli_epi32(both, B);
    if constexpr (B != 4 && B != 8) odd = _mm512_and_si512(odd, mask);
  }
  /** Bytes, a lane each: even elements of four bits in the lower nibble. */
  static Int bytes(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Int high_nibbles(Int a) { return _mm512_srli_epi32(a, 4); }
  /** table[the lower four bits of a], whatever stands above them. */
  static Float look_up_low(Float table, Int a) { return _mm512_permutexvar_ps(a, table); }
  static Float to_float(Int a) { return _mm512_cvtepi32_ps(a); }
  static Float look_up(const float* table, Int a) { return _mm512_i32gather_ps(a, table, 4); }
  /** kE2m1[a]. */
  static Float e2m1(Int a) { return _mm512_permutexvar_ps(a, _mm512_load_ps(kE2m1)); }
  /** `low` in the lower eight lanes, `high` in the others. */
  static Float halves_of(float low, float high) {
    return _mm512_insertf32x8(_mm512_set1_ps(low), _mm256_set1_ps(high), 1);
  }

 private:
  /** The lanes of eight, halves added, then neighbours and their neighbours: the first halves of a to d,
   * their second ones, those of e to h. */
  static Float quarters(Float a, Float b, Float c, Float d, Float e, Float f, Float g, Float h) {
    const Float ab = neighbours(halves(a, e), halves(b, f)), cd = neighbours(halves(c, g), halves(d, h));
    return neighbours(ab, cd);
  }
  static Float halves(Float a, Float b) {
    return add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  static Float neighbours(Float a, Float b) {
    return add(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
  }
  static __m256 halves(Float a) {
    return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  }
  /** Nearest even in the upper 16 bits of each lane, the lower ones zero; any NaN becomes the quiet one. */
  static __m512i bf16_bits(Float a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_mov_epi32(up, nan, _mm512_set1_epi32(0x7fc00000));
    return _mm512_and_si512(kept, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
  }
};

}  // namespace mlx_gemma::kernels
