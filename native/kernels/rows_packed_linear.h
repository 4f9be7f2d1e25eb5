// Rows of x times packed weights. A group's values are multiplied as they are, and the sum gets the scale:
// one multiplication for a group instead of one for a weight.
#pragma once

#include "rows_packed.h"
#include "rows_packed_table.h"

namespace mlx_gemma::kernels::rows {

template <class V, class T>
inline void widen_even_odd(const T* in, int n, float* out) {
  if constexpr (kComesApart<T>) return widen<V, T>(in, n, out);
  for (int k = 0; k < n; k += V::pair, out += V::pair) {
    typename V::Float a, b;
    if (k + V::pair <= n) {
      V::load_pair(in + k, a, b);
    } else {
      load_partial<V>(in + k, n - k, a, b);
    }
    alignas(64) float group[V::pair];
    V::store_pair(group, a, b);
    for (int i = 0; i < V::lanes; ++i) {
      out[i] = group[2 * i];
      out[V::lanes + i] = group[2 * i + 1];
    }
  }
}

/** See RowFunctions. */
template <class V, class T>
void prepare_packed(const void* in, int n, int group, float* out) {
  widen_even_odd<V>(static_cast<const T*>(in), n, out);
  if (group == 0) return;
  float* sums = out + packed_row_floats(n, V::pair) - packed_row_sums(n);
  for (int k = 0; k < n; k += kPackedDepth, sums += kBlockGroups) {
    const int groups = (n - k < kPackedDepth ? n - k : kPackedDepth) / group;
    for (int g = 0; g < kBlockGroups; ++g) {
      typename V::Float sum = V::zero();
      for (int i = 0; g < groups && i < group; i += V::lanes)
        sum = V::add(sum, V::load(out + k + g * group + i));
      sums[g] = V::sum(sum);
    }
  }
}

/** Values of C packed rows, unpacked at each use. */
template <class V, int B, QuantizationMode M, int C>
struct PackedValues {
  static constexpr bool kTakesSteps = true;
  const std::uint8_t* codes[C];
  std::ptrdiff_t ahead;  // bytes to the rows that come next

  /** Vector H of pair `pair` of row c. */
  template <int H>
  typename V::Float at(int c, std::ptrdiff_t pair) const {
    typename V::Int even, odd;
    V::template codes<B>(codes[c] + pair * kBytes, even, odd);
    return values_of<V, M>(H == 0 ? even : odd);
  }
  void fetch(std::ptrdiff_t pair) const {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) __builtin_prefetch(codes[c] + ahead + pair * kBytes);
  }

 private:
  static constexpr std::ptrdiff_t kBytes = V::pair * B / 8;
};

/** Values in a float tile, of rows `stride` apart. */
template <class V>
struct TileValues {
  static constexpr bool kTakesSteps = false;
  const float* tile;
  std::ptrdiff_t stride;

  template <int H>
  typename V::Float at(int c, std::ptrdiff_t pair) const {
    return V::load(tile + c * stride + pair * V::pair + H * V::lanes);
  }
  void fetch(std::ptrdiff_t) const {}
};

/** A block of R rows of x: elements, and the sums of their groups. */
struct BlockOfX {
  const float* x;
  const float* sums;
  std::ptrdiff_t stride;
};

/**
 * R × C sums over a block of n elements. R and C change nothing but speed: a group is one chain of lanes that
 * takes the even vector of a pair, then the odd one; groups in order are scaled and added to another chain,
 * and to that one biases times sums of x, a vector of groups at a time.
 */
template <class V, int R, int C, class Values>
inline void block_dots(const Values& values, const Groups* groups, const BlockOfX& rows, int n, int group,
                       bool affine, float (&out)[R][C]) {
  typename V::Float totals[R][C];
#pragma GCC unroll 16
  for (int i = 0; i < R * C; ++i) totals[i / C][i % C] = V::zero();
  // Two groups of half a pair are taken as one, with two scales.
  const int unit = group < V::pair ? V::pair : group;
  const std::ptrdiff_t pairs = unit / V::pair, groups_of_unit = unit / group;
  const std::ptrdiff_t units = (n + unit - 1) / unit;
  std::ptrdiff_t pair = 0;
  for (std::ptrdiff_t g = 0; g < units; ++g) {
    values.fetch(pair);
    typename V::Float sums[R][C];
#pragma GCC unroll 16
    for (int i = 0; i < R * C; ++i) sums[i / C][i % C] = V::zero();
    for (const std::ptrdiff_t end = pair + pairs; pair < end; ++pair) {
      const auto half = [&]<int H>() {
        typename V::Float weights[C];
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) weights[c] = values.template at<H>(c, pair);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          typename V::Float x = V::load(rows.x + r * rows.stride + pair * V::pair + H * V::lanes);
          if constexpr (C > 1 && Values::kTakesSteps) V::hold(x);
#pragma GCC unroll 16
          for (int c = 0; c < C; ++c) sums[r][c] = V::fma(weights[c], x, sums[r][c]);
        }
      };
      half.template operator()<0>();
      half.template operator()<1>();
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const typename V::Float scale = scale_at<V>(groups[c].scales + g * groups_of_unit, group);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) totals[r][c] = V::fma(scale, sums[r][c], totals[r][c]);
    }
  }
  for (std::ptrdiff_t g = 0; affine && g < units; g += V::lanes) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const typename V::Float bias = V::load(groups[c].biases + g);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        totals[r][c] = V::fma(bias, V::load(rows.sums + r * rows.stride + g), totals[r][c]);
    }
  }
  sum_lanes<V>(totals, out);
}

/** Elements k to k + kPackedDepth of rows of x from `row`. */
template <class V>
inline BlockOfX block_of_x(const PackedJob& job, int row, int k) {
  const float* x = job.x + row * job.padded;
  return {x + k, x + job.padded - packed_row_sums(job.depth) + k / kPackedDepth * kBlockGroups, job.padded};
}

/** C weight rows from o times R rows of x from `row`, without a tile: for few rows, and codes that take few
 * steps to unpack. */
template <class V, int B, QuantizationMode M, int R, int C>
inline void packed_dots(const PackedJob& job, int row, int o, float (&totals)[R][C]) {
  for (int i = 0; i < R * C; ++i) totals[i / C][i % C] = 0.0f;
  for (int k = 0; k < job.depth; k += kPackedDepth) {
    const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
    Groups groups[C];
    PackedValues<V, B, M, C> values;
    values.ahead = C * job.weight.codes_stride;
    for (int c = 0; c < C; ++c) {
      groups_of<V>(job.weight, o + c, k, n, groups[c]);
      std::ptrdiff_t left;
      values.codes[c] = codes_at(job.weight, job.depth, o + c, k, left);
    }
    float sums[R][C];
    block_dots<V, R, C>(values, groups, block_of_x<V>(job, row, k), n, job.weight.group_size,
                        M == QuantizationMode::affine, sums);
    for (int i = 0; i < R * C; ++i) totals[i / C][i % C] += sums[i / C][i % C];
  }
}

/** Weight rows [o, o + count), count <= kPackedGroup, times up to kPackedNarrow rows: totals (rows, count).
 */
using PackedDots = void (*)(const PackedJob&, int o, int count, float* totals);
constexpr int kPackedGroup = 12;

template <class V, int B, QuantizationMode M>
void packed_group(const PackedJob& job, int o, int count, float* totals) {
  const auto tile = [&]<int R, int C>(int r, int c) {
    float sums[R][C];
    packed_dots<V, B, M, R, C>(job, r, o + c, sums);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < C; ++j) totals[(r + i) * count + c + j] = sums[i][j];
  };
  const auto rows = [&]<int R>(int r) {
    constexpr int C = V::lanes == 16 || R == 1 ? 4 : R == 2 ? 3 : 2;  // what the registers hold
    int c = 0;
    for (; c + C <= count; c += C) tile.template operator()<R, C>(r, c);
    for (; c < count; ++c) tile.template operator()<R, 1>(r, c);
  };
  int r = 0;
  for (; r + 4 <= job.rows; r += 4) rows.template operator()<4>(r);
  if (job.rows - r == 3) rows.template operator()<3>(r);
  if (job.rows - r == 2) rows.template operator()<2>(r);
  if (job.rows - r == 1) rows.template operator()<1>(r);
}

/** The form without a tile for these weights and `rows` rows, or null where there is none. */
template <class V>
inline PackedDots packed_dots_of(const PackedRows& w, int rows) {
  if (rows > kPackedNarrow) return nullptr;
  if (w.mode == QuantizationMode::mxfp4) return packed_group<V, 4, QuantizationMode::mxfp4>;
  if (w.mode == QuantizationMode::affine && w.bits == 4) return packed_group<V, 4, QuantizationMode::affine>;
  if (w.mode == QuantizationMode::affine && w.bits == 8) return packed_group<V, 8, QuantizationMode::affine>;
  return nullptr;
}

/** Sums of R rows of x from `row` with the columns of a tile, C at a time, added to totals. */
template <class V, int R, int C>
inline void tile_groups(const PackedJob& job, const float* tile, const Groups* groups, int row, int k, int n,
                        int columns, float* totals, std::ptrdiff_t totals_stride) {
  const BlockOfX rows = block_of_x<V>(job, row, k);
  const bool affine = job.weight.mode == QuantizationMode::affine;
  const auto some = [&]<int D>(int c) {
    float sums[R][D];
    block_dots<V, R, D>(TileValues<V>{tile + c * kPackedDepth, kPackedDepth}, groups + c, rows, n,
                        job.weight.group_size, affine, sums);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < D; ++j) totals[i * totals_stride + c + j] += sums[i][j];
  };
  int c = 0;
  for (; c + C <= columns; c += C) some.template operator()<C>(c);
  for (; c < columns; ++c) some.template operator()<1>(c);
}

template <class V, class T>
void linear_packed(const PackedJob& job, int begin, int end) {
  if constexpr (V::kSixteen) {
    if (has_tables<V>(job.weight)) return linear_table<V, T>(job, begin, end);
  }
  if (const PackedDots dots = packed_dots_of<V>(job.weight, job.rows)) {
    for (int o = begin; o < end; o += kPackedGroup) {
      const int count = end - o < kPackedGroup ? end - o : kPackedGroup;
      float totals[kPackedNarrow * kPackedGroup];
      dots(job, o, count, totals);
      for (int r = 0; r < job.rows; ++r)
        store_sums<V>(static_cast<T*>(job.out) + r * job.out_stride + o, totals + r * count, count);
    }
    return;
  }
  const Unpack unpack = unpack_of<V>(job.weight);
  const int most = packed_columns(job.rows);
  float* tile = job.scratch;  // (most, kPackedDepth)
  auto* groups = reinterpret_cast<Groups*>(tile + most * kPackedDepth);
  float* totals = reinterpret_cast<float*>(groups + most);  // (rows, most)
  for (int o = begin; o < end; o += most) {
    const int columns = end - o < most ? end - o : most;
    for (int i = 0; i < job.rows * most; ++i) totals[i] = 0.0f;
    for (int k = 0; k < job.depth; k += kPackedDepth) {
      const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
      for (int c = 0; c < columns; ++c) {
        groups_of<V>(job.weight, o + c, k, n, groups[c]);
        std::ptrdiff_t left;
        const std::uint8_t* codes = codes_at(job.weight, job.depth, o + c, k, left);
        unpack(codes, left, n, tile + c * kPackedDepth);
      }
      const auto rows = [&]<int R>(int r) {
        // One row alone needs more chains.
        constexpr int C = R == 1 && V::wide_columns == 3 ? 6 : V::wide_columns;
        tile_groups<V, R, C>(job, tile, groups, r, k, n, columns,
                             totals + static_cast<std::ptrdiff_t>(r) * most, most);
      };
      int r = 0;
      for (; r + 4 <= job.rows; r += 4) rows.template operator()<4>(r);
      if (job.rows - r == 3) rows.template operator()<3>(r);
      if (job.rows - r == 2) rows.template operator()<2>(r);
      if (job.rows - r == 1) rows.template operator()<1>(r);
    }
    for (int r = 0; r < job.rows; ++r) {
      store_sums<V>(static_cast<T*>(job.out) + r * job.out_stride + o,
                    totals + static_cast<std::ptrdiff_t>(r) * most, columns);
    }
  }
}

}  // namespace mlx_gemma::kernels::rows
