// Rows of bfloat16 times packed weights on tiles. A group's sum comes from the tiles and gets its scale;
// linear.cpp has the order.
#pragma once

#include "rows_amx_unpack.h"

namespace mlx_gemma::kernels::amx {

/** Packed weights that this file multiplies. */
inline bool takes(const PackedRows& w) {
  return w.group_size % kTileDepth == 0 &&
         (w.mode == QuantizationMode::affine ? w.bits == 4 || w.bits == 8
                                             : w.mode == QuantizationMode::mxfp4);
}

/** See RowFunctions::prepare_packed: the row as it is, and the sums of its groups. */
inline void prepare_packed_row(const void* in, int n, int group, float* out) {
  bf16* row = reinterpret_cast<bf16*>(out);
  copy_row(static_cast<const bf16*>(in), n, row);
  if (group == 0) return;
  float* sums = out + packed_row_floats(n, Avx512::pair) - packed_row_sums(n);
  for (int k = 0; k < n; k += kPackedDepth, sums += kBlockGroups) {
    const int end = n - k < kPackedDepth ? n : k + kPackedDepth;
    for (int g = 0; k + g * group < end; ++g) {
      __m512 sum = _mm512_setzero_ps();
      for (int i = 0; i < group; i += kTileDepth) {
        __m512 even, odd;
        Avx512::load_pair(row + k + g * group + i, even, odd);
        sum = _mm512_add_ps(_mm512_add_ps(sum, even), odd);
      }
      sums[g] = Avx512::sum(sum);
    }
  }
}

/** Rows of x as the tiles want them: `columns` at a time as tiles of B, and the sums of their groups,
 * (groups, 16) with the columns repeated. */
struct PackedX {
  std::uint32_t* tiles;  // (blocks, depth / 2, columns)
  float* sums;           // (blocks, groups, 16)
  float* totals;         // (blocks, 16, columns)
  std::ptrdiff_t tiles_step, sums_step;
};

template <int B, int N>
inline PackedX turn_x(const PackedJob& job) {
  const int blocks = (job.rows + N - 1) / N, groups = job.depth / job.weight.group_size;
  PackedX out;
  out.tiles_step = static_cast<std::ptrdiff_t>(job.depth) / 2 * N;
  out.sums_step = static_cast<std::ptrdiff_t>(groups) * 16;
  out.tiles = reinterpret_cast<std::uint32_t*>(job.scratch);
  out.sums = job.scratch + blocks * out.tiles_step;
  out.totals = out.sums + blocks * out.sums_step;
  const __m512i order = _mm512_load_si512(kNibbleOrder.at);
  for (int b = 0; b < blocks; ++b) {
    const float* x = job.x + b * N * job.padded;
    const int rows = job.rows - b * N < N ? job.rows - b * N : N;
    const auto elements = [&](int r, int k) {
      const __m512i row = _mm512_loadu_si512(reinterpret_cast<const bf16*>(x + r * job.padded) + k);
      return B == 4 ? _mm512_permutexvar_epi16(order, row) : row;
    };
    turn_rows(rows, N, job.depth, elements, out.tiles + b * out.tiles_step);
    if (job.weight.mode != QuantizationMode::affine) continue;
    const __m512i column = _mm512_and_si512(lane_numbers(), _mm512_set1_epi32(N - 1));
    const __mmask16 there = _mm512_cmplt_epi32_mask(column, _mm512_set1_epi32(rows));
    const __m512i row_of_lane = _mm512_mullo_epi32(column, _mm512_set1_epi32(static_cast<int>(job.padded)));
    const float* of_row = x + job.padded - packed_row_sums(job.depth);
    for (int g = 0; g < groups; ++g) {
      const int per_block = kPackedDepth / job.weight.group_size;
      const float* at = of_row + g / per_block * kBlockGroups + g % per_block;
      const __m512 sums = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, row_of_lane, at, 4);
      _mm512_storeu_ps(out.sums + b * out.sums_step + g * 16, sums);
    }
  }
  return out;
}

/** Up to kGroups groups, from element k on, of 16 weight rows from o on, of which the first `count` exist. */
struct Block {
  int o, count, k, groups;
};

/** One task: blocks of weights one after the other, times all rows of x, N at a time. */
template <int B, QuantizationMode M, int G, int N>
class PackedRun {
 public:
  PackedRun(const PackedJob& job, int end) : job_(job), x_(turn_x<B, N>(job)), end_(end) {}

  void run(int begin) {
    if (begin >= end_) return;
    job_.rows <= N ? run_narrow(begin) : run_wide(begin);
  }

 private:
  static constexpr bool kAffine = M == QuantizationMode::affine;
  static constexpr int kDepthOfGroup = G * kTileDepth;
  static constexpr int kElements = kGroups * kDepthOfGroup;
  static constexpr int kGroupBytes = G * kTileBytes;
  /** Groups that are unpacked at a time for few rows: enough that a tile has left the store buffer when it is
   * read, and so few that they stay in the inner cache, which a neighbour may share. */
  static constexpr int kRing = 4;

  /** One x block: each group is unpacked shortly before it is multiplied. */
  void run_narrow(int begin) {
    Block ahead = at(begin, 0);
    int unpacked = 0, done = 0;
    const auto unpack_next = [&] {
      if (ahead.count <= 0) return;
      unpack(ahead, 0, unpacked++ % kRing);
      ahead = ahead.k + kDepthOfGroup < job_.depth ? at(ahead.o, ahead.k + kDepthOfGroup)
                                                   : at(ahead.o + kRows, 0);
    };
    while (unpacked < kRing - 1 && ahead.count > 0) unpack_next();
    for (int o = begin; o < end_; o += kRows) {
      for (int k = 0; k < job_.depth; k += kElements) {
        const Block block = at(o, k);
        turn_scales<M>(job_.weight, o, block.count, k, block.groups, kAdded<B, M>, scales_);
        for (int g = 0; g < block.groups; ++g) {
          unpack_next();
          sum_group(block, 0, g, done++ % kRing);
        }
        add_sums(block, 0);
      }
      store_rows(at(o, 0));
    }
  }

  /** Several: a block of groups is unpacked for all of them. */
  void run_wide(int begin) {
    Block block = at(begin, 0);
    int side = 0;
    for (int g = 0; g < block.groups; ++g) unpack(block, g, g);
    while (block.count > 0) {
      const bool last = block.k + kElements >= job_.depth;
      const Block next = last ? at(block.o + kRows, 0) : at(block.o, block.k + kElements);
      multiply_block(block, side, next);
      if (last) store_rows(block);
      block = next;
      side = 1 - side;
    }
  }

  Block at(int o, int k) const {
    const int left = (job_.depth - k) / kDepthOfGroup;
    return {o, end_ - o < kRows ? end_ - o : kRows, k, left < kGroups ? left : kGroups};
  }
  /** Group g of the block to a place among the unpacked. */
  void unpack(const Block& block, int g, int place) {
    unpack_tiles<B, M, G>(job_.weight, job_.depth, block.o, block.count, block.k + g * kDepthOfGroup,
                          unpacked_ + place * kGroupBytes);
  }
  void sum_group(const Block& block, int b, int g, int place) {
    const std::uint8_t* tile = unpacked_ + place * kGroupBytes;
    const std::uint32_t* x_tile = x_.tiles + b * x_.tiles_step + (block.k + g * kDepthOfGroup) / 2 * N;
    g % 2 == 0 ? multiply_group<0>(tile, x_tile, sums_[g]) : multiply_group<1>(tile, x_tile, sums_[g]);
  }
  void store_rows(const Block& block) const {
    store_columns<N>(x_.totals, job_.rows, static_cast<bf16*>(job_.out) + block.o, job_.out_stride,
                     block.count);
  }

  /** Adds the block's products to the totals. Meanwhile the next block is unpacked: a tile that was just
   * written can't be read at once. */
  void multiply_block(const Block& block, int side, const Block& next) {
    turn_scales<M>(job_.weight, block.o, block.count, block.k, block.groups, kAdded<B, M>, scales_);
    const int next_groups = next.count > 0 ? next.groups : 0;
    for (int b = 0; b * N < job_.rows; ++b) {
      const bool last = (b + 1) * N >= job_.rows;
      for (int g = 0; g < kGroups; ++g) {
        if (last && g < next_groups) unpack(next, g, (1 - side) * kGroups + g);
        if (g < block.groups) sum_group(block, b, g, side * kGroups + g);
      }
      add_sums(block, b);
    }
  }

  template <int S>
  static void multiply_group(const std::uint8_t* tile, const std::uint32_t* x_tile, float* sums) {
    const auto step = [&]<int P>() {
      load<2 + 2 * P>(tile, 64);
      load<3 + 2 * P>(x_tile, N * 4);
      multiply<S, 2 + 2 * P, 3 + 2 * P>();
      tile += kTileBytes;
      x_tile += kTileDepth / 2 * N;
    };
    zero<S>();
    step.template operator()<S>();
    if constexpr (G > 1) step.template operator()<1 - S>();
    if constexpr (G > 2) step.template operator()<S>();
    if constexpr (G > 2) step.template operator()<1 - S>();
    store<S>(sums, N * 4);
  }

  void add_sums(const Block& block, int b) {
    const float* x_sums = x_.sums + b * x_.sums_step + block.k / (G * kTileDepth) * 16;
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      const __m512i row = _mm512_add_epi32(_mm512_srli_epi32(lane_numbers(), __builtin_ctz(N)),
                                           _mm512_set1_epi32(v * 16 / N));
      const auto of_row = [&](__m512 a) { return N == 1 ? a : _mm512_permutexvar_ps(row, a); };
      float* total = x_.totals + (b * N + v) * 16;  // of (16, N)
      __m512 sum = block.k == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(total);
      for (int g = 0; g < block.groups; ++g) {
        sum = _mm512_fmadd_ps(of_row(scales_.scales[g]), _mm512_load_ps(sums_[g] + v * 16), sum);
        if constexpr (kAffine)
          sum = _mm512_fmadd_ps(of_row(scales_.biases[g]), _mm512_loadu_ps(x_sums + g * 16), sum);
      }
      _mm512_storeu_ps(total, sum);
    }
  }

  const PackedJob& job_;
  const PackedX x_;
  const int end_;
  alignas(64) std::uint8_t unpacked_[2 * kGroups * kGroupBytes];
  alignas(64) float sums_[kGroups][16 * N];
  Scales scales_;
};

template <int B, QuantizationMode M, int G, int N>
inline void run_packed(const PackedJob& job, int begin, int end) {
  Tiles tiles;
  tiles.shape<0, 1>(kRows, 4 * N);
  tiles.shape<2, 4>(kRows, 64);
  tiles.shape<3, 5>(kRows, 4 * N);
  tiles.use();
  PackedRun<B, M, G, N>(job, end).run(begin);
}

/** Packed weight rows [begin, end), unpacked once for all rows of x. */
inline void linear_packed(const PackedJob& job, int begin, int end) {
  const auto some = [&]<int B, QuantizationMode M, int G>() {
    switch (columns_of(job.rows)) {
      case 1:
        return run_packed<B, M, G, 1>(job, begin, end);
      case 4:
        return run_packed<B, M, G, 4>(job, begin, end);
      case 8:
        return run_packed<B, M, G, 8>(job, begin, end);
      default:
        return run_packed<B, M, G, 16>(job, begin, end);
    }
  };
  constexpr QuantizationMode kAffine = QuantizationMode::affine;
  if (job.weight.mode == QuantizationMode::mxfp4)
    return some.template operator()<4, QuantizationMode::mxfp4, 1>();
  const auto groups = [&]<int B>() {
    switch (job.weight.group_size) {
      case 32:
        return some.template operator()<B, kAffine, 1>();
      case 64:
        return some.template operator()<B, kAffine, 2>();
      default:
        return some.template operator()<B, kAffine, 4>();
    }
  };
  job.weight.bits == 4 ? groups.template operator()<4>() : groups.template operator()<8>();
}

}  // namespace mlx_gemma::kernels::amx
