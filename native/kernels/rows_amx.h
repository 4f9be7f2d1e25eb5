// What the products on tiles share. Only for files compiled for AMX; a tile register is a number known when
// compiling.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "amx.h"
#include "element.h"
#include "simd_avx512.h"

namespace mlx_gemma::kernels::amx {

/** A tile of bfloat16 of one operand, or of sums, in memory. */
constexpr int kTileBytes = kRows * 64;

/** The shapes of the tiles while it lives; releases them at the end, so that the system need not keep them.
 */
class Tiles {
 public:
  template <int... T>
  void shape(int rows, int row_bytes) {
    ((config_.rows[T] = static_cast<std::uint8_t>(rows)), ...);
    ((config_.row_bytes[T] = static_cast<std::uint16_t>(row_bytes)), ...);
  }
  void use() const { asm volatile("ldtilecfg %0" : : "m"(config_) : "memory"); }
  ~Tiles() { asm volatile("tilerelease" : : : "memory"); }

 private:
  struct alignas(64) Config {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  } config_;
};

// The compiler's own functions do not say that they read and write memory (GCC 12).
template <int T>
inline void load(const void* from, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T>
inline void store(void* to, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(T) : "memory");
}
template <int T>
inline void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(T));
}
/** Sums += A · B: A of rows of elements, B of rows of pairs of elements, a column each. */
template <int Sums, int A, int B>
inline void multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
}

/** f.operator()<0>() to f.operator()<Count - 1>(). */
template <int Count, class F>
inline void each(F&& f) {
  if constexpr (Count > 1) each<Count - 1>(f);
  f.template operator()<Count - 1>();
}

/** The number of each lane. */
inline __m512i lane_numbers() {
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/** The lower 16 bits of each lane as a float. */
inline __m512 to_float(bf16, __m512i a) { return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)); }
inline __m512 to_float(f16, __m512i a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }

/** Lane c of each quarter of four vectors, side by side in that quarter of out[c]. */
inline void interleave(const __m512i (&v)[4], __m512i (&out)[4]) {
  __m512i a[4];
#pragma GCC unroll 2
  for (int i = 0; i < 4; i += 2) {
    a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    out[2 * i] = _mm512_unpacklo_epi64(a[i], a[2 + i]);
    out[2 * i + 1] = _mm512_unpackhi_epi64(a[i], a[2 + i]);
  }
}

/** Lanes of 16 rows of sixteen, turned. */
inline void transpose(__m512i (&v)[16]) {
  __m512i fours[4][4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i rows[4] = {v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]};
    interleave(rows, fours[i]);
  }
  // fours[i][c] has lanes c, c + 4, c + 8 and c + 12 of rows 4 i to 4 i + 3, a quarter each.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i even_upper = _mm512_shuffle_i32x4(fours[0][c], fours[1][c], 0x88);
    const __m512i odd_upper = _mm512_shuffle_i32x4(fours[0][c], fours[1][c], 0xdd);
    const __m512i even_lower = _mm512_shuffle_i32x4(fours[2][c], fours[3][c], 0x88);
    const __m512i odd_lower = _mm512_shuffle_i32x4(fours[2][c], fours[3][c], 0xdd);
    v[c] = _mm512_shuffle_i32x4(even_upper, even_lower, 0x88);
    v[8 + c] = _mm512_shuffle_i32x4(even_upper, even_lower, 0xdd);
    v[4 + c] = _mm512_shuffle_i32x4(odd_upper, odd_lower, 0x88);
    v[12 + c] = _mm512_shuffle_i32x4(odd_upper, odd_lower, 0xdd);
  }
}

inline __mmask16 first_lanes(std::ptrdiff_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

/** Row x of `n` elements, then zeros up to whole tiles. */
inline void copy_row(const bf16* x, int n, bf16* out) {
  const int whole = n / kTileDepth * kTileDepth;
  for (int k = 0; k < whole; k += kTileDepth) _mm512_storeu_si512(out + k, _mm512_loadu_si512(x + k));
  if (whole == n) return;
  for (int k = whole; k < whole + kTileDepth; ++k) out[k] = k < n ? x[k] : bf16{};
}

/** Columns of the tiles of B that hold so many rows of x, at most 16: a vector holds some rows of such a
 * tile. */
constexpr int columns_of(int rows) { return rows <= 1 ? 1 : rows <= 4 ? 4 : rows <= 8 ? 8 : 16; }

/**
 * Rows of x as tiles of B: (depth / 2, columns) pairs of elements, zeros where there is no row.
 *
 * @param elements the 32 of row r from k on, in the order of the other operand's tile
 */
template <class Elements>
inline void turn_rows(int rows, int columns, int depth, Elements elements, std::uint32_t* out) {
  for (int k = 0; k < depth; k += kTileDepth, out += kTileDepth / 2 * columns) {
    if (columns == 1) {
      _mm512_storeu_si512(out, elements(0, k));
      continue;
    }
    for (int r = 0; r < columns; r += 4) {
      __m512i rows_of_x[4], v[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) rows_of_x[i] = r + i < rows ? elements(r + i, k) : _mm512_setzero_si512();
      interleave(rows_of_x, v);
      // Pair 4 q + i of the four rows is quarter q of v[i].
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const auto put = [&]<int Q>() {
          _mm_storeu_si128(reinterpret_cast<__m128i*>(out + (4 * Q + i) * columns + r),
                           _mm512_extracti32x4_epi32(v[i], Q));
        };
        put.template operator()<0>();
        put.template operator()<1>();
        put.template operator()<2>();
        put.template operator()<3>();
      }
    }
  }
}

/** Sums (blocks, 16, N) of 16 weight rows with `rows` rows of x, N of these in a block, to out: row r at out
 * + r * out_stride. */
template <int N>
inline void store_columns(const float* sums, int rows, bf16* out, std::ptrdiff_t out_stride, int count) {
  const __m512i apart = _mm512_mullo_epi32(lane_numbers(), _mm512_set1_epi32(N));
  for (int r = 0; r < rows; ++r) {
    const float* from = sums + r / N * 16 * N + r % N;
    Avx512::store_first(out + r * out_stride,
                        N == 1 ? _mm512_loadu_ps(from) : _mm512_i32gather_ps(apart, from, 4), count);
  }
}

}  // namespace mlx_gemma::kernels::amx
