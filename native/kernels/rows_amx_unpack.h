// Packed weights as tiles of bfloat16: codes of four and eight bits are whole numbers, or small floats, that
// bfloat16 holds exactly; and the scales of their groups.
#pragma once

#include "isa.h"
#include "rows_amx.h"

namespace mlx_gemma::kernels::amx {

/** Groups that are scaled together. */
constexpr int kGroups = 8;

/** The scales of kGroups groups of 16 weight rows, a lane for each row, and their biases. */
struct Scales {
  __m512 scales[kGroups], biases[kGroups];
};

/** Lanes of 16 rows of eight, turned. */
inline void transpose(const __m256i (&rows)[16], __m512i (&out)[8]) {
  const auto quarters =
      [&](int r,
          __m512i(&of)[4]) {  // of[c]: lanes c and c + 4 of rows r to r + 7, in quarters 0 and 2, 1 and 3
        __m512i v[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
          v[i] = _mm512_inserti64x4(_mm512_castsi256_si512(rows[r + i]), rows[r + 4 + i], 1);
        interleave(v, of);
      };
  __m512i upper[4], lower[4];
  quarters(0, upper);
  quarters(8, lower);
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    out[c] = _mm512_shuffle_i32x4(upper[c], lower[c], 0x88);
    out[4 + c] = _mm512_shuffle_i32x4(upper[c], lower[c], 0xdd);
  }
}

/** Up to eight elements of T, as bits in a lane each. */
template <class T>
inline __m256i lanes_of(const void* from, std::ptrdiff_t offset, __mmask8 some) {
  const T* p = static_cast<const T*>(from) + offset;
  if constexpr (sizeof(T) == 1) return _mm256_cvtepu8_epi32(_mm_maskz_loadu_epi8(some, p));
  if constexpr (sizeof(T) == 2) return _mm256_cvtepu16_epi32(_mm_maskz_loadu_epi16(some, p));
  if constexpr (sizeof(T) == 4) return _mm256_maskz_loadu_epi32(some, p);
}

/** Those of `groups` groups, at most kGroups, of rows [o, o + count), from that of element k on. */
template <QuantizationMode M, class T>
inline void turn_scales_of(const PackedRows& w, std::ptrdiff_t o, int count, int k, int groups, Scales& out) {
  constexpr bool kAffine = M == QuantizationMode::affine, kHalves = sizeof(T) == 2;
  const __mmask8 some = static_cast<__mmask8>(first_lanes(groups));
  const std::ptrdiff_t first = k / w.group_size;
  __m256i scales[16], biases[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const std::ptrdiff_t row = o + (i < count ? i : 0);
    scales[i] = lanes_of<T>(w.scales, row * w.scales_stride + first, some);
    if constexpr (kAffine) biases[i] = lanes_of<T>(w.biases, row * w.biases_stride + first, some);
    // Elements of 16 bits share a lane.
    if constexpr (kAffine && kHalves)
      scales[i] = _mm256_or_si256(scales[i], _mm256_slli_epi32(biases[i], 16));
  }
  __m512i turned[8], turned_biases[8];
  transpose(scales, turned);
  if constexpr (kAffine && !kHalves) transpose(biases, turned_biases);
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
    if constexpr (!kAffine) {  // 2^(code - 127); 2^-127 has no exponent of its own
      const __m512i power = _mm512_slli_epi32(turned[g], 23);
      const __mmask16 none = _mm512_testn_epi32_mask(power, power);
      out.scales[g] = _mm512_castsi512_ps(_mm512_mask_mov_epi32(power, none, _mm512_set1_epi32(0x00400000)));
    } else if constexpr (!kHalves) {
      out.scales[g] = _mm512_castsi512_ps(turned[g]);
      out.biases[g] = _mm512_castsi512_ps(turned_biases[g]);
    } else {
      out.scales[g] = to_float(T{}, turned[g]);
      out.biases[g] = to_float(T{}, _mm512_srli_epi32(turned[g], 16));
    }
  }
}

/** The same; biases less `added` scales. */
template <QuantizationMode M>
inline void turn_scales(const PackedRows& w, std::ptrdiff_t o, int count, int k, int groups, float added,
                        Scales& out) {
  if constexpr (M != QuantizationMode::affine)
    return turn_scales_of<M, std::uint8_t>(w, o, count, k, groups, out);
  if (w.scales_type == static_cast<int>(Element::bf16)) {
    turn_scales_of<M, bf16>(w, o, count, k, groups, out);
  } else if (w.scales_type == static_cast<int>(Element::f16)) {
    turn_scales_of<M, f16>(w, o, count, k, groups, out);
  } else {
    turn_scales_of<M, float>(w, o, count, k, groups, out);
  }
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g)
    out.biases[g] = _mm512_fnmadd_ps(out.scales[g], _mm512_set1_ps(added), out.biases[g]);
}

constexpr std::uint16_t bf16_bits(float value) {
  return static_cast<std::uint16_t>(__builtin_bit_cast(std::uint32_t, value) >> 16);
}

/** What four bits of mxfp4 stand for, twice: the bit above them does not matter. */
struct NibbleTable {
  alignas(64) std::uint16_t at[32] = {};
  constexpr NibbleTable() {
    for (int i = 0; i < 32; ++i) at[i] = bf16_bits(kE2m1[i & 15]);
  }
};
constexpr NibbleTable kNibbles;

/** What unpack() adds to whole numbers of four bits: 16 + q has the bits of q in its mantissa. Biases take it
 * away. */
template <int B, QuantizationMode M>
constexpr float kAdded = B == 4 && M == QuantizationMode::affine ? 16.0f : 0.0f;

/** The order in which 32 elements of four bits are unpacked: element of each lane. Those of eight bits keep
 * their own. */
struct NibbleOrder {
  alignas(64) std::uint16_t at[32] = {};
  constexpr NibbleOrder() {
    for (int pair = 0; pair < 16; ++pair) {
      const int first = 8 * (pair % 4) + pair / 4;
      at[2 * pair] = static_cast<std::uint16_t>(first);
      at[2 * pair + 1] = static_cast<std::uint16_t>(first + 4);
    }
  }
};
constexpr NibbleOrder kNibbleOrder;

/** Turns 32 codes from p into what they stand for, plus kAdded. */
template <int B, QuantizationMode M>
struct Unpack {
  __m512i operator()(const std::uint8_t* p) const {
    const __m512i halves = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    const __m512 even = _mm512_cvtepi32_ps(_mm512_and_si512(halves, _mm512_set1_epi32(0xffff)));
    const __m512 odd = _mm512_cvtepi32_ps(_mm512_srli_epi32(halves, 16));
    return _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(even), 16), _mm512_castps_si512(odd));
  }
};

/** Of four bits: nibbles 0 to 3 of each word, and 4 to 7 in the upper halves, come to the same bits, a
 * quarter of the vector each. */
template <QuantizationMode M>
struct Unpack<4, M> {
  __m512i counts, table;

  Unpack() {
    if constexpr (M == QuantizationMode::affine) {
      counts = _mm512_setr_epi32(29, 29, 29, 29, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9);
      table = _mm512_set1_epi32(0x00780078);
    } else {
      counts = _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
      table = _mm512_load_si512(kNibbles.at);
    }
    asm("" : "+v"(counts), "+v"(table));  // GCC would rather read them at each use
  }

  __m512i operator()(const std::uint8_t* p) const {
    const __m512i words = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    if constexpr (M != QuantizationMode::affine)
      return _mm512_permutexvar_epi16(_mm512_srlv_epi32(words, counts), table);
    constexpr int kAndOr = 0xea;  // (a & b) | c
    return _mm512_ternarylogic_epi32(_mm512_rorv_epi32(words, counts), table, _mm512_set1_epi16(0x4180),
                                     kAndOr);
  }
};

/** Codes are fetched into the outer cache so far ahead of those that are unpacked. */
constexpr int kAheadBytes = 1024;

/** G tiles of A: 32 G elements of rows [o, o + count), from element k on. */
template <int B, QuantizationMode M, int G>
inline void unpack_tiles(const PackedRows& w, int depth, int o, int count, int k, std::uint8_t* tiles) {
  constexpr int kBytes = kTileDepth * B / 8;
  const Unpack<B, M> unpack;
  const std::uint8_t* codes = w.codes + o * w.codes_stride + k * B / 8;
  const std::ptrdiff_t left = (depth - k) * B / 8;  // to the end of the row, where the next 16 rows go on
  const std::ptrdiff_t ahead =
      kAheadBytes < left ? kAheadBytes : kRows * w.codes_stride + kAheadBytes - left - k * B / 8;
  for (int i = 0; i < count; ++i, codes += w.codes_stride, tiles += 64) {
#pragma GCC unroll 4
    for (int at = 0; at < G * kBytes; at += 64) __builtin_prefetch(codes + ahead + at, 0, 2);
#pragma GCC unroll 4
    for (int t = 0; t < G; ++t) _mm512_store_si512(tiles + t * kTileBytes, unpack(codes + t * kBytes));
  }
}

}  // namespace mlx_gemma::kernels::amx
