// x · weightᵀ of bfloat16 on tiles. The processor fixes the order of a sum: 32 products of each tile in two
// chains, even and odd elements; their sum is added to what came before. No other row takes part in it.
#pragma once

#include "isa.h"
#include "rows_amx.h"

namespace mlx_gemma::kernels::amx {

/** Row r of x as it is: prepare_row() put it there. */
inline const bf16* row_of_x(const LinearJob& job, int r) {
  return reinterpret_cast<const bf16*>(job.x + r * job.padded);
}

/** See RowFunctions::prepare. */
inline void prepare_row(const void* in, int n, float* out) {
  copy_row(static_cast<const bf16*>(in), n, reinterpret_cast<bf16*>(out));
}

/** Up to 16 rows of x as tiles of B. */
inline const std::uint32_t* tiles_of_x(const LinearJob& job) {
  if (job.rows == 1) return reinterpret_cast<const std::uint32_t*>(job.x);
  auto* out = reinterpret_cast<std::uint32_t*>(job.scratch);
  turn_rows(
      job.rows, columns_of(job.rows), job.depth,
      [&](int r, int k) { return _mm512_loadu_si512(row_of_x(job, r) + k); }, out);
  return out;
}

/** The 32 elements that are fetched into the outer cache while others are multiplied lie so far ahead. */
constexpr int kAhead = 8 * kTileDepth;

/** 16 weight rows from o, of which the first `count` exist, times up to N rows of x. */
template <int N>
inline void narrow_group(const LinearJob& job, const std::uint32_t* x, int o, int count) {
  const bf16* weight = static_cast<const bf16*>(job.weight) + o * job.weight_stride;
  const std::ptrdiff_t row_bytes = job.weight_stride * 2, next = kRows * job.weight_stride;
  const auto step = [&](const bf16* w, std::ptrdiff_t bytes) {
    load<1>(w, bytes);
    load<2>(x, 4 * N);
    multiply<0, 1, 2>();
    x += kTileDepth / 2 * N;
  };
  zero<0>();
  int k = 0;
  for (; k + kTileDepth <= job.depth; k += kTileDepth) {
    const int there = k + kAhead;
    const bf16* ahead = weight + there + (there < job.depth ? 0 : next - job.depth);
    for (int r = 0; r < kRows; ++r) __builtin_prefetch(ahead + r * job.weight_stride, 0, 2);
    step(weight + k, row_bytes);
  }
  if (k < job.depth) {
    alignas(64) bf16 end[kRows * kTileDepth] = {};
    for (int r = 0; r < count; ++r)
      for (int i = k; i < job.depth; ++i) end[r * kTileDepth + i - k] = weight[r * job.weight_stride + i];
    step(end, 64);
  }
  alignas(64) float sums[kRows * N];
  store<0>(sums, 4 * N);
  store_columns<N>(sums, job.rows, static_cast<bf16*>(job.out) + o, job.out_stride, count);
}

template <int N>
inline void narrow_rows(const LinearJob& job, int begin, int end) {
  const std::uint32_t* x = tiles_of_x(job);
  Tiles tiles;
  const auto shapes = [&](int rows) {
    tiles.shape<0>(rows, 4 * N);
    tiles.shape<1>(rows, 64);
    tiles.shape<2>(kRows, 4 * N);
    tiles.use();
  };
  shapes(kRows);
  int o = begin;
  for (; o + kRows <= end; o += kRows) narrow_group<N>(job, x, o, kRows);
  if (o == end) return;
  shapes(end - o);
  narrow_group<N>(job, x, o, end - o);
}

/** Up to 16 rows of x: the weights are tiles of A as they lie in memory. */
inline void linear_narrow(const LinearJob& job, int begin, int end) {
  switch (columns_of(job.rows)) {
    case 1:
      return narrow_rows<1>(job, begin, end);
    case 4:
      return narrow_rows<4>(job, begin, end);
    case 8:
      return narrow_rows<8>(job, begin, end);
    default:
      return narrow_rows<16>(job, begin, end);
  }
}

/** Weight rows of one pass of the wide form, and elements of each. */
constexpr int kWideColumns = 2 * kRows;
constexpr int kWideDepth = 512;

/** Elements [k, k + n) of 16 weight rows, the first `count` of which exist, as tiles of B, one for 32 of
 * them.
 */
inline void turn_weights(const bf16* weight, std::ptrdiff_t stride, int count, int n, std::uint32_t* out) {
  for (int k = 0; k < n; k += kTileDepth, out += kTileBytes / 4) {
    __m512i v[16];
    if (n - k >= kTileDepth) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) v[i] = _mm512_loadu_si512(weight + (i < count ? i : 0) * stride + k);
    } else {
      for (int i = 0; i < 16; ++i) {
        alignas(64) bf16 end[kTileDepth] = {};
        for (int j = k; j < n; ++j) end[j - k] = weight[(i < count ? i : 0) * stride + j];
        v[i] = _mm512_load_si512(end);
      }
    }
    transpose(v);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) _mm512_store_si512(out + i * 16, v[i]);
  }
}

/** A block of the wide form: 32 weight rows, turned, the second 16 of which may be missing. */
struct WideBlock {
  const std::uint32_t *first, *second;  // second: null if there is none
  int steps;                            // tiles of either
  bool begins;                          // nothing was summed before
};

/** Up to 32 rows of x from r on times a block: added to sums (32, kWideColumns). */
inline void multiply_wide(const LinearJob& job, int r, int k, const WideBlock& block, float* sums) {
  const bool two = job.rows - r > kRows;
  const std::ptrdiff_t x_bytes = job.padded * 4, sums_bytes = kWideColumns * 4;
  const bf16* x = row_of_x(job, r) + k;
  const bf16* x_below = two ? row_of_x(job, r + kRows) + k : x;
  float* below = two ? sums + kRows * kWideColumns : sums;
  if (block.begins) {
    zero<0>(), zero<1>(), zero<2>(), zero<3>();
  } else {
    load<0>(sums, sums_bytes), load<1>(sums + kRows, sums_bytes);
    load<2>(below, sums_bytes), load<3>(below + kRows, sums_bytes);
  }
  for (int s = 0; s < block.steps; ++s) {
    load<4>(x + s * kTileDepth, x_bytes), load<5>(x_below + s * kTileDepth, x_bytes);
    load<6>(block.first + s * (kTileBytes / 4), 64);
    multiply<0, 4, 6>(), multiply<2, 5, 6>();
    if (block.second != nullptr) {
      load<7>(block.second + s * (kTileBytes / 4), 64);
      multiply<1, 4, 7>(), multiply<3, 5, 7>();
    }
  }
  store<0>(sums, sums_bytes), store<1>(sums + kRows, sums_bytes);
  if (two) store<2>(below, sums_bytes), store<3>(below + kRows, sums_bytes);
}

/** Many rows of x: 32 weight rows at a time are turned, then met by 32 rows of x at a time. */
inline void linear_wide(const LinearJob& job, int begin, int end) {
  alignas(64) std::uint32_t turned[kWideColumns * kWideDepth / 2];
  float* totals = job.scratch;  // (rows, kWideColumns)
  const auto at = [&](int r, int c) { return totals + static_cast<std::ptrdiff_t>(r) * kWideColumns + c; };
  Tiles tiles;
  tiles.shape<6, 7>(kRows, 64);
  const auto shapes = [&](int rows) {  // of x, at most 32; tiles of the lower 16 are there in any case
    tiles.shape<0, 1, 4>(rows < kRows ? rows : kRows, 64);
    tiles.shape<2, 3, 5>(rows > kRows ? rows - kRows : 1, 64);
    tiles.use();
  };
  for (int o = begin; o < end; o += kWideColumns) {
    const int columns = end - o < kWideColumns ? end - o : kWideColumns;
    for (int k = 0; k < job.depth; k += kWideDepth) {
      const int n = job.depth - k < kWideDepth ? job.depth - k : kWideDepth;
      const bf16* weight = static_cast<const bf16*>(job.weight) + o * job.weight_stride + k;
      WideBlock block{turned, nullptr, (n + kTileDepth - 1) / kTileDepth, k == 0};
      turn_weights(weight, job.weight_stride, columns, n, turned);
      if (columns > kRows) {
        std::uint32_t* second = turned + block.steps * (kTileBytes / 4);
        turn_weights(weight + kRows * job.weight_stride, job.weight_stride, columns - kRows, n, second);
        block.second = second;
      }
      for (int r = 0; r < job.rows; r += 2 * kRows) {
        const int left = job.rows - r;
        if (r == 0 || left < 2 * kRows) shapes(left < 2 * kRows ? left : 2 * kRows);
        multiply_wide(job, r, k, block, at(r, 0));
      }
    }
    for (int r = 0; r < job.rows; ++r) {
      bf16* out = static_cast<bf16*>(job.out) + r * job.out_stride + o;
      for (int c = 0; c < columns; c += kRows)
        Avx512::store_first(out + c, _mm512_loadu_ps(at(r, c)), columns - c);
    }
  }
}

}  // namespace mlx_gemma::kernels::amx
