// Four-bit weights where a register holds sixteen floats (V::kSixteen): a group's sixteen possible weights
// are a table, and a code picks one. So a weight is itself before it is multiplied, and sums run as those of
// plain weights do: linear.cpp has the order.
#pragma once

#include "rows_packed.h"

namespace mlx_gemma::kernels::rows {

/** True if rows of these weights are summed as this file does it, whatever the number of rows of x. */
template <class V>
inline bool has_tables(const PackedRows& w) {
  return V::kSixteen && w.bits == 4 && w.group_size % V::pair == 0;
}

/** The floats of one block of kPackedDepth elements of C rows. */
template <class V, QuantizationMode M, int C>
struct TableWeights {
  static constexpr std::ptrdiff_t kBytes = V::pair / 2;
  const std::uint8_t* codes[C];
  Groups groups[C];
  typename V::Float tables[C];

  TableWeights(const PackedRows& w, int depth, std::ptrdiff_t o, int k, int n) {
    for (int c = 0; c < C; ++c) {
      groups_of<V, false>(w, o + c, k, n, groups[c]);
      std::ptrdiff_t left;
      codes[c] = codes_at(w, depth, o + c, k, left);
    }
  }

  void enter(int group) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const typename V::Float scale = V::splat(groups[c].scales[group]);
      if constexpr (M == QuantizationMode::affine) {
        tables[c] = V::fma(scale, V::load(kWhole), V::splat(groups[c].biases[group]));
      } else {
        tables[c] = V::multiply(scale, V::load(kE2m1));
      }
    }
  }

  /** The weights of a pair, of all C rows: even elements, then odd ones. */
  void pair_at(std::ptrdiff_t pair, typename V::Float (&even)[C], typename V::Float (&odd)[C]) const {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const typename V::Int both = V::bytes(codes[c] + pair * kBytes);
      even[c] = V::look_up_low(tables[c], both);
      odd[c] = V::look_up_low(tables[c], V::high_nibbles(both));
    }
  }

 private:
  alignas(64) static constexpr float kWhole[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};

/** C weight rows from o times R rows of x from `row`. P: pairs of a group where that is known before, or 0.
 */
template <class V, QuantizationMode M, int P, int R, int C>
inline void table_dots(const PackedJob& job, int row, int o, float (&totals)[R][C]) {
  for (int i = 0; i < R * C; ++i) totals[i / C][i % C] = 0.0f;
  const std::ptrdiff_t ahead = C * job.weight.codes_stride;
  const int group_pairs = P > 0 ? P : job.weight.group_size / V::pair;
  for (int k = 0; k < job.depth; k += kPackedDepth) {
    const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
    TableWeights<V, M, C> weights(job.weight, job.depth, o, k, n);
    const float* x = job.x + row * job.padded + k;
    typename V::Float sums[R][C];
#pragma GCC unroll 16
    for (int i = 0; i < R * C; ++i) sums[i / C][i % C] = V::zero();
    std::ptrdiff_t pair = 0;
    for (int group = 0; group < n / job.weight.group_size; ++group) {
      weights.enter(group);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) __builtin_prefetch(weights.codes[c] + ahead + pair * weights.kBytes);
      for (const std::ptrdiff_t end = pair + group_pairs; pair < end; ++pair) {
        typename V::Float even[C], odd[C];
        weights.pair_at(pair, even, odd);
        const auto half = [&](const typename V::Float(&w)[C], std::ptrdiff_t at) {
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            typename V::Float xs = V::load(x + r * job.padded + at);
            if constexpr (C > 1) V::hold(xs);
#pragma GCC unroll 16
            for (int c = 0; c < C; ++c) sums[r][c] = V::fma(w[c], xs, sums[r][c]);
          }
        };
        half(even, pair * V::pair);
        half(odd, pair * V::pair + V::lanes);
      }
    }
    float added[R][C];
    sum_lanes<V>(sums, added);
    for (int i = 0; i < R * C; ++i) totals[i / C][i % C] += added[i / C][i % C];
  }
}

/** Elements [k, k + n) of row o as floats in even-odd order. */
template <class V, QuantizationMode M>
inline void unpack_table(const PackedJob& job, int o, int k, int n, float* out) {
  TableWeights<V, M, 1> weights(job.weight, job.depth, o, k, n);
  const int group_pairs = job.weight.group_size / V::pair;
  for (int pair = 0; pair < n / V::pair; ++pair, out += V::pair) {
    if (pair % group_pairs == 0) weights.enter(pair / group_pairs);
    typename V::Float even[1], odd[1];
    weights.pair_at(pair, even, odd);
    V::store(out, even[0]);
    V::store(out + V::lanes, odd[0]);
  }
}

/** Weight rows [begin, end) for few rows of x: unpacked in registers, once for four of them. */
template <class V, class T, QuantizationMode M, int P>
inline void table_narrow(const PackedJob& job, int begin, int end) {
  const auto tile = [&]<int R, int C>(int r, int o) {
    float sums[R][C];
    table_dots<V, M, R == 1 ? 0 : P, R, C>(job, r, o, sums);
    for (int i = 0; i < R; ++i)
      store_sums<V>(static_cast<T*>(job.out) + (r + i) * job.out_stride + o, sums[i], C);
  };
  constexpr int C = 4;
  // Eight rows share what a weight's unpacking costs; the registers then hold half as many weight rows.
  const auto eight = [&](int r, int o) {
    float sums[8][C];
    for (int c = 0; c < C; c += 2) {
      float part[8][2];
      table_dots<V, M, P, 8, 2>(job, r, o + c, part);
      for (int i = 0; i < 8; ++i) {
        sums[i][c] = part[i][0];
        sums[i][c + 1] = part[i][1];
      }
    }
    for (int i = 0; i < 8; ++i)
      store_sums<V>(static_cast<T*>(job.out) + (r + i) * job.out_stride + o, sums[i], C);
  };
  const auto columns = [&]<int D>(int o) {
    int r = 0;
    if constexpr (D == C)
      for (; r + 8 <= job.rows; r += 8) eight(r, o);
    for (; r + 4 <= job.rows; r += 4) tile.template operator()<4, D>(r, o);
    if (job.rows - r == 3) tile.template operator()<3, D>(r, o);
    if (job.rows - r == 2) tile.template operator()<2, D>(r, o);
    if (job.rows - r == 1) tile.template operator()<1, D>(r, o);
  };
  int o = begin;
  for (; o + C <= end; o += C) columns.template operator()<C>(o);
  for (; o < end; ++o) columns.template operator()<1>(o);
}

/** The same sums for many rows of x, through a tile of floats. */
template <class V, class T, QuantizationMode M>
inline void table_wide(const PackedJob& job, int begin, int end) {
  float* tile = job.scratch;                           // (kTileColumns, kPackedDepth)
  float* totals = tile + kTileColumns * kPackedDepth;  // (rows, kTileColumns)
  for (int o = begin; o < end; o += kTileColumns) {
    const int columns = end - o < kTileColumns ? end - o : kTileColumns;
    for (int i = 0; i < job.rows * kTileColumns; ++i) totals[i] = 0.0f;
    for (int k = 0; k < job.depth; k += kPackedDepth) {
      const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
      for (int c = 0; c < columns; ++c) unpack_table<V, M>(job, o + c, k, n, tile + c * kPackedDepth);
      add_tile<V>(job.x + k, job.padded, job.rows, tile, kPackedDepth, n, columns, totals);
    }
    for (int r = 0; r < job.rows; ++r) {
      store_sums<V>(static_cast<T*>(job.out) + r * job.out_stride + o,
                    totals + static_cast<std::ptrdiff_t>(r) * kTileColumns, columns);
    }
  }
}

template <class V, class T>
void linear_table(const PackedJob& job, int begin, int end) {
  constexpr auto affine = QuantizationMode::affine, mxfp4 = QuantizationMode::mxfp4;
  const bool is_affine = job.weight.mode == affine;
  if (job.rows > kPackedNarrow)
    return is_affine ? table_wide<V, T, affine>(job, begin, end) : table_wide<V, T, mxfp4>(job, begin, end);
  if (!is_affine) return table_narrow<V, T, mxfp4, 1>(job, begin, end);
  // What models have, and the quicker for it: a loop whose length is known.
  if (job.weight.group_size == 2 * V::pair) return table_narrow<V, T, affine, 2>(job, begin, end);
  table_narrow<V, T, affine, 0>(job, begin, end);
}

}  // namespace mlx_gemma::kernels::rows
