// Rows of x times rows of the weights, in a narrow form (few rows of x) and a wide one.
#pragma once

#include "rows_common.h"

namespace mlx_gemma::kernels::rows {

template <class V, class T>
void widen(const void* in, int n, float* out) {
  const T* p = static_cast<const T*>(in);
  typename V::Float a, b;
  int k = 0;
  for (; k + V::pair <= n; k += V::pair) {
    V::load_pair(p + k, a, b);
    V::store_pair(out + k, a, b);
  }
  if (k < n) {
    load_partial<V>(p + k, n - k, a, b);
    V::store_pair(out + k, a, b);
  }
}

template <class V, class T>
void narrow(const float* in, int n, void* out) {
  T* p = static_cast<T*>(out);
  typename V::Float a, b;
  int k = 0;
  for (; k + V::pair <= n; k += V::pair) {
    V::load_pair(in + k, a, b);
    V::store_pair(p + k, a, b);
  }
  if (k < n) {
    V::load_pair(in + k, a, b);
    store_partial<V>(p + k, n - k, a, b);
  }
}

template <class V, class T>
inline void store_sums(T* p, const float* sums, int count) {
  int c = 0;
  if constexpr (requires { V::narrow_four(sums, p); }) {
    for (; c + 4 <= count; c += 4) V::narrow_four(sums + c, p + c);
  }
  for (; c < count; ++c) store_one<V>(p + c, sums[c]);
}

/** C weight rows from o for all rows of x. The weights of a block stay in cache from one tile of rows to the
 * next. */
template <class V, class T, int C>
inline void narrow_group(const LinearJob& job, int o) {
  constexpr int kRows = 16;  // rows of x whose sums are kept at a time; more of them read the weights again
  const T* weight = static_cast<const T*>(job.weight) + o * job.weight_stride;
  T* out = static_cast<T*>(job.out) + o;
  for (int r0 = 0; r0 < job.rows; r0 += kRows) {
    const int rows = job.rows - r0 < kRows ? job.rows - r0 : kRows;
    float totals[kRows][C];
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < C; ++c) totals[r][c] = 0.0f;
    for (int k = 0; k < job.depth; k += kDepth) {
      const int n = job.depth - k < kDepth ? job.depth - k : kDepth;
      const auto tile = [&]<int R>(int r) {
        float sums[R][C];
        dot_tile<V, T, R, C>(job.x + (r0 + r) * job.padded + k, job.padded, weight + k, job.weight_stride, n,
                             sums);
        for (int i = 0; i < R; ++i)
          for (int c = 0; c < C; ++c) totals[r + i][c] += sums[i][c];
      };
      int r = 0;
      for (; r + 4 <= rows; r += 4) tile.template operator()<4>(r);
      if (rows - r == 3) tile.template operator()<3>(r);
      if (rows - r == 2) tile.template operator()<2>(r);
      if (rows - r == 1) tile.template operator()<1>(r);
    }
    for (int r = 0; r < rows; ++r) store_sums<V>(out + (r0 + r) * job.out_stride, totals[r], C);
  }
}

template <class V, class T>
void linear_narrow(const LinearJob& job, int begin, int end) {
  const auto groups = [&]<int C>() {
    int o = begin;
    for (; o + C <= end; o += C) narrow_group<V, T, C>(job, o);
    for (; o < end; ++o) narrow_group<V, T, 1>(job, o);
  };
  switch (job.rows) {
    case 1:
      return groups.template operator()<V::columns[1]>();
    case 2:
      return groups.template operator()<V::columns[2]>();
    case 3:
      return groups.template operator()<V::columns[3]>();
    default:
      return groups.template operator()<V::columns[4]>();
  }
}

/** Sums of R rows of x with the columns of a float tile (columns, tile_stride), C at a time, added to totals.
 */
template <class V, int R, int C>
inline void tile_rows(const float* x, std::ptrdiff_t padded, const float* tile, std::ptrdiff_t tile_stride,
                      int n, int columns, float* totals, std::ptrdiff_t totals_stride) {
  int c = 0;
  for (; c + C <= columns; c += C) {
    float sums[R][C];
    dot_tile<V, float, R, C>(x, padded, tile + c * tile_stride, tile_stride, n, sums);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < C; ++j) totals[i * totals_stride + c + j] += sums[i][j];
  }
  for (; c < columns; ++c) {
    float sums[R][1];
    dot_tile<V, float, R, 1>(x, padded, tile + c * tile_stride, tile_stride, n, sums);
    for (int i = 0; i < R; ++i) totals[i * totals_stride + c] += sums[i][0];
  }
}

/** Sums of all rows of x with a float tile of n elements by `columns`, added to totals (rows, kTileColumns).
 */
template <class V>
inline void add_tile(const float* x, std::ptrdiff_t padded, int rows, const float* tile,
                     std::ptrdiff_t tile_stride, int n, int columns, float* totals) {
  const auto some = [&]<int R>(int r) {
    tile_rows<V, R, V::wide_columns>(x + r * padded, padded, tile, tile_stride, n, columns,
                                     totals + static_cast<std::ptrdiff_t>(r) * kTileColumns, kTileColumns);
  };
  int r = 0;
  for (; r + 4 <= rows; r += 4) some.template operator()<4>(r);
  for (; r < rows; ++r) some.template operator()<1>(r);
}

template <class V, class T>
void linear_wide(const LinearJob& job, int begin, int end) {
  float* tile = job.scratch;                     // (kTileColumns, kDepth) in pair order
  float* totals = tile + kTileColumns * kDepth;  // (rows, kTileColumns)
  for (int o = begin; o < end; o += kTileColumns) {
    const int columns = end - o < kTileColumns ? end - o : kTileColumns;
    for (int i = 0; i < job.rows * kTileColumns; ++i) totals[i] = 0.0f;
    for (int k = 0; k < job.depth; k += kDepth) {
      const int n = job.depth - k < kDepth ? job.depth - k : kDepth;
      const int padded = (n + V::pair - 1) / V::pair * V::pair;
      const T* weight = static_cast<const T*>(job.weight) + o * job.weight_stride + k;
      for (int c = 0; c < columns; ++c) widen<V, T>(weight + c * job.weight_stride, n, tile + c * kDepth);
      add_tile<V>(job.x + k, job.padded, job.rows, tile, kDepth, padded, columns, totals);
    }
    for (int r = 0; r < job.rows; ++r) {
      T* out = static_cast<T*>(job.out) + r * job.out_stride + o;
      store_sums<V>(out, totals + static_cast<std::ptrdiff_t>(r) * kTileColumns, columns);
    }
  }
}

}  // namespace mlx_gemma::kernels::rows
