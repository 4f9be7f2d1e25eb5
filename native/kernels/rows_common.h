// What the row functions share: partial groups, dot-product tiles, exp. Templates on a simd_*.h structure;
// the files that include this are compiled for one instruction set each, and must instantiate nothing of the
// standard library.
#pragma once

#include <cstddef>
#include <cstdint>

#include "element.h"
#include "isa.h"

namespace mlx_gemma::kernels::rows {

/** load_pair of n < pair elements, zeros after them. */
template <class V, class T>
inline void load_partial(const T* p, int n, typename V::Float& a, typename V::Float& b) {
  alignas(64) T group[V::pair] = {};
  for (int i = 0; i < n; ++i) group[i] = p[i];
  V::load_pair(group, a, b);
}

/** store_pair of n < pair elements. */
template <class V, class T>
inline void store_partial(T* p, int n, typename V::Float a, typename V::Float b) {
  alignas(64) T group[V::pair];
  V::store_pair(group, a, b);
  for (int i = 0; i < n; ++i) p[i] = group[i];
}

/** One element, rounded as store_pair rounds. */
template <class V, class T>
inline void store_one(T* p, float value) {
  store_partial<V>(p, 1, V::splat(value), V::zero());
}
template <class V>
inline void store_one(float* p, float value) {
  *p = value;
}
template <class V>
inline void store_one(bf16* p, float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t up = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  p->bits = value == value ? static_cast<std::uint16_t>(up) : std::uint16_t{0x7fc0};
}

/** The lanes of R × C sums added up, each in V::sum's order. */
template <class V, int R, int C>
inline void sum_lanes(const typename V::Float (&sums)[R][C], float (&out)[R][C]) {
  constexpr int kSums = R * C;
  if constexpr (kSums == 16 && requires { &V::sum_sixteen; }) {
    typename V::Float all[kSums];
#pragma GCC unroll 16
    for (int i = 0; i < kSums; ++i) all[i] = sums[i / C][i % C];
    return V::sum_sixteen(all, &out[0][0]);
  }
#pragma GCC unroll 16
  for (int i = 0; i + 4 <= kSums; i += 4) {
    V::sum_four(sums[i / C][i % C], sums[(i + 1) / C][(i + 1) % C], sums[(i + 2) / C][(i + 2) % C],
                sums[(i + 3) / C][(i + 3) % C], &out[0][0] + i);
  }
#pragma GCC unroll 16
  for (int i = kSums / 4 * 4; i < kSums; ++i) out[i / C][i % C] = V::sum(sums[i / C][i % C]);
}

/**
 * Where products with plain weights are summed over a row: R × C dot products of `n` elements, each one chain
 * of lanes that takes the first vector of a pair, then the second, and ends in V::sum. R and C change nothing
 * but speed.
 *
 * @param x R rows in pair order, padded with zeros to whole pairs
 * @param w C rows of T
 */
template <class V, class T, int R, int C>
inline void dot_tile(const float* x, std::ptrdiff_t x_stride, const T* w, std::ptrdiff_t w_stride, int n,
                     float (&out)[R][C]) {
  typename V::Float sums[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sums[r][c] = V::zero();
  // The next C rows: rows that are short end before the processor sees where they lead to. Not where the two
  // groups would push one another out of the inner cache, whose sets repeat every 4096 bytes.
  const bool crowded = R == 1 && w_stride * sizeof(T) % 4096 == 0;
  const std::ptrdiff_t ahead = crowded ? 0 : C * w_stride;
  // One row uses them at once. Several take their time, and the second level is near enough
  // (docs/performance.md).
  constexpr int kLocality = R == 1 ? 3 : 2;
  int k = 0;
  for (; k + V::pair <= n; k += V::pair) {
    if constexpr (sizeof(T) < sizeof(float)) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) __builtin_prefetch(w + ahead + c * w_stride + k, 0, kLocality);
    }
    // Half after half: C weights in registers, and each x serves C sums.
    const auto half = [&]<int H>() {
      typename V::Float weights[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) weights[c] = V::template load_half<H>(w + c * w_stride + k);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        typename V::Float row = V::load(x + r * x_stride + k + H * V::lanes);
        if constexpr (C > 1 && sizeof(T) < sizeof(float)) V::hold(row);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) sums[r][c] = V::fma(weights[c], row, sums[r][c]);
      }
    };
    half.template operator()<0>();
    half.template operator()<1>();
  }
  if (k < n) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      typename V::Float first, second;
      load_partial<V>(w + c * w_stride + k, n - k, first, second);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        sums[r][c] = V::fma(first, V::load(x + r * x_stride + k), sums[r][c]);
        sums[r][c] = V::fma(second, V::load(x + r * x_stride + k + V::lanes), sums[r][c]);
      }
    }
  }
  sum_lanes<V>(sums, out);
}

/** e^x for x <= 88, within 2 units in the last place; 0 below -87.3; NaN stays NaN. */
template <class V>
inline typename V::Float exponential(typename V::Float x) {
  using Float = typename V::Float;
  const Float limit = V::splat(-87.3f);
  const Float clamped = V::maximum(limit, x);  // also -inf
  const Float n = V::nearest(V::multiply(clamped, V::splat(1.44269504088896341f)));
  Float r = V::fma(n, V::splat(-0.693359375f), clamped);  // ln 2 in two parts, the first of few bits
  r = V::fma(n, V::splat(2.12194440e-4f), r);
  // Taylor's polynomial to degree 7: |r| <= ln 2 / 2 leaves an error below 6e-9.
  Float p = V::splat(1.0f / 5040);
  p = V::fma(p, r, V::splat(1.0f / 720));
  p = V::fma(p, r, V::splat(1.0f / 120));
  p = V::fma(p, r, V::splat(1.0f / 24));
  p = V::fma(p, r, V::splat(1.0f / 6));
  p = V::fma(p, r, V::splat(0.5f));
  p = V::fma(V::multiply(p, r), r, V::add(r, V::splat(1.0f)));
  return V::zero_below(V::scale(p, n), x, limit);
}

}  // namespace mlx_gemma::kernels::rows
