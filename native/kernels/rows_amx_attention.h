// Attention of bfloat16 on tiles. A score is a product of two rows as in rows_amx_linear.h, keys in the place
// of weights. A weighted sum of values takes 32 keys at a time, from the start of the block on: the softmax's
// weight, a float32, is the sum of three numbers of bfloat16, and each of them goes through the 32 keys in
// the processor's order. No other row takes part in either.
#pragma once

#include "isa.h"
#include "rows_amx.h"
#include "rows_attention.h"

namespace mlx_gemma::kernels::amx {

constexpr int kBf16 = static_cast<int>(Element::bf16);

/** Other widths are left to AVX-512. */
constexpr bool is_whole(int width) { return width % kTileDepth == 0; }

/** See RowFunctions::load_queries: tiles of B. */
inline void load_queries(const void* const* rows, int count, int n, float* out) {
  if (!is_whole(n)) return avx512_functions.load_queries[kBf16](rows, count, n, out);
  const auto element = [&](int r, int k) {
    return _mm512_loadu_si512(static_cast<const bf16*>(rows[r]) + k);
  };
  turn_rows(count, columns_of(count), n, element, reinterpret_cast<std::uint32_t*>(out));
}

/** The keys and values of a block by their place in it. */
struct KeyBlock {
  const AttentionJob& job;
  int first;  // of the view

  const bf16* key(int s) const { return static_cast<const bf16*>(job.keys) + (s - first) * job.key_stride; }
  const bf16* value(int s) const {
    return static_cast<const bf16*>(job.values) + (s - first) * job.value_stride;
  }
};

/** Rows of keys or values that are asked for, into the outer cache, line after line as they lie in memory. */
class Fetch {
 public:
  Fetch(const bf16* first, std::ptrdiff_t stride, int rows, int width)
      : row_(first), stride_(stride), rows_(rows), width_(width) {}

  /** So many lines more, of as many as there are. */
  void lines(int count) {
    while (count > 0 && rows_ > 0) {
      const int left = (width_ - at_) / kTileDepth, n = count < left ? count : left;
      for (int i = 0; i < n; ++i, at_ += kTileDepth) __builtin_prefetch(row_ + at_, 0, 2);
      count -= n;
      if (at_ < width_) continue;
      at_ = 0;
      row_ += stride_;
      --rows_;
    }
  }

 private:
  const bf16* row_;
  std::ptrdiff_t stride_;
  int rows_, width_, at_ = 0;
};

/** Tiles of keys whose scores are summed at a time. */
constexpr int kScoreTiles = 4;
using Scores = float[kTileRows][kKeyBlock + kRows];

/** Scores with Count tiles of keys from s on; `values` are fetched meanwhile. */
template <int Count>
inline void score_tiles(const KeyBlock& block, int s, Fetch& values, Scores& scores) {
  const AttentionJob& job = block.job;
  const int columns = columns_of(job.rows);
  const auto* q = reinterpret_cast<const std::uint32_t*>(job.q);
  const bf16* key = block.key(s);
  const std::ptrdiff_t key_bytes = job.key_stride * 2, tile = kRows * job.key_stride;
  each<Count>([]<int C>() { zero<C>(); });
  for (const bf16* end = key + job.width; key < end; key += kTileDepth, q += kTileDepth / 2 * columns) {
    values.lines(Count * kRows);
    load<5>(q, 4 * columns);
    each<Count>([&]<int C>() {
      load<4>(key + C * tile, key_bytes);
      multiply<C, 4, 5>();
    });
  }
  alignas(64) float sums[kRows * kRows];
  const __m512 scale = _mm512_set1_ps(job.scale);
  each<Count>([&]<int C>() {
    store<C>(sums, 64);
    __m512i v[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) v[i] = _mm512_load_si512(sums + i * kRows);
    transpose(v);
    for (int r = 0; r < job.rows; ++r)
      _mm512_storeu_ps(scores[r] + s + C * kRows, _mm512_mul_ps(_mm512_castsi512_ps(v[r]), scale));
  });
}

/** Scores of all rows with the keys `seen`, whose values are fetched meanwhile. */
inline void score_keys(const KeyBlock& block, Span seen, Scores& scores) {
  const int column_bytes = 4 * columns_of(block.job.rows);
  Tiles tiles;
  const auto shapes = [&](int keys) {
    tiles.shape<0, 1, 2, 3>(keys, column_bytes);
    tiles.shape<4>(keys, 64);
    tiles.shape<5>(kRows, column_bytes);
    tiles.use();
  };
  shapes(kRows);
  const AttentionJob& job = block.job;
  Fetch values(block.value(seen.begin), job.value_stride, job.fetch ? seen.end - seen.begin : 0, job.width);
  int s = seen.begin;
  constexpr int kMany = kScoreTiles * kRows;
  for (; s + kMany <= seen.end; s += kMany) score_tiles<kScoreTiles>(block, s, values, scores);
  for (; s + kRows <= seen.end; s += kRows) score_tiles<1>(block, s, values, scores);
  if (s == seen.end) return;
  shapes(seen.end - s);
  score_tiles<1>(block, s, values, scores);
}

/** Numbers of bfloat16 that a weight is the sum of, the largest first: 8 bits of its 24 each. */
constexpr int kParts = 3;
using Weights = bf16[kParts][kTileRows][kKeyBlock];

/** Row r of the weights, zero for keys that it does not see. */
inline void split(const float* e, Span seen, int r, Weights& weights) {
  const int begin = seen.begin / kTileDepth * kTileDepth;
  for (int s = begin; s < seen.end || (s - begin) % kTileDepth != 0; s += kRows) {
    const __mmask16 some = first_lanes(seen.end - s) & ~first_lanes(seen.begin - s);
    __m512 rest = _mm512_maskz_loadu_ps(some, e + s);
    for (int i = 0; i < kParts; ++i) {
      const __m512i bits = _mm512_castps_si512(rest);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights[i][r] + s),
                          _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
      const __m512i part = _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
      rest = _mm512_sub_ps(rest, _mm512_castsi512_ps(part));
    }
  }
}

/** Elements [c, c + 32) of the values of keys s to s + 31 as two tiles of B; zeros for keys not seen. */
inline void pair_values(const KeyBlock& block, Span seen, int s, int c, bf16* out) {
  const std::ptrdiff_t stride = block.job.value_stride;
  const bf16* value = block.value(s) + c;
  const auto pairs = [&](auto row) {
#pragma GCC unroll 4
    for (int i = 0; i < kTileDepth; i += 2, out += kTileDepth) {
      const __m512i even = row(i), odd = row(i + 1);
      _mm512_store_si512(out, _mm512_unpacklo_epi16(even, odd));
      _mm512_store_si512(out + kTileBytes / 2, _mm512_unpackhi_epi16(even, odd));
    }
  };
  if (seen.begin <= s && s + kTileDepth <= seen.end) {
    pairs([&](int i) { return _mm512_loadu_si512(value + i * stride); });
  } else {
    pairs([&](int i) {
      const bool sees = s + i >= seen.begin && s + i < seen.end;
      return sees ? _mm512_loadu_si512(value + i * stride) : _mm512_setzero_si512();
    });
  }
}

/** Where pair_values() put element `c` of 32: lane of the first tile, or of the second from 16 on. */
constexpr int lane_of(int c) { return c / 8 * 4 + c % 4 + (c % 8 < 4 ? 0 : kRows); }

template <int Odd>
inline __m512i lanes_in_pair_order() {
  alignas(64) static constexpr auto lanes = [] {
    struct {
      int at[kRows];
    } out{};
    for (int i = 0; i < kRows; ++i) out.at[i] = lane_of(2 * i + Odd);
    return out;
  }();
  return _mm512_load_si512(lanes.at);
}

/**
 * Sums over the values of `seen`, which is what rows [r, r + n) see, of the elements from c on, 32 at a time
 * Count times. `keys` are fetched meanwhile.
 *
 * @returns the rows, counted from r, of which some sum is not a number
 */
template <int Count>
inline unsigned sum_values(const KeyBlock& block, Span seen, const Weights& weights, int r, int n, int c,
                           Fetch& keys, float* values) {
  const int begin = seen.begin / kTileDepth * kTileDepth;
  const int items = (seen.end - begin + kTileDepth - 1) / kTileDepth * Count;
  // Written one ahead: a tile that was just stored holds up the load.
  alignas(64) bf16 pairs[2][kTileBytes];
  const auto prepare = [&](int item) {
    pair_values(block, seen, begin + item / Count * kTileDepth, c + item % Count * kTileDepth,
                pairs[item % 2]);
  };
  each<2 * Count>([]<int I>() { zero<I>(); });
  prepare(0);
  for (int item = 0; item < items; item += Count) {
    const int s = begin + item / Count * kTileDepth;
    load<4>(weights[0][r] + s, 2 * kKeyBlock);
    load<5>(weights[1][r] + s, 2 * kKeyBlock);
    load<6>(weights[2][r] + s, 2 * kKeyBlock);
    each<2 * Count>([&]<int I>() {
      if (I % 2 == 0 && item + I / 2 + 1 < items) prepare(item + I / 2 + 1);
      keys.lines(kTileDepth / 2);
      load<7>(pairs[(item + I / 2) % 2] + I % 2 * (kTileBytes / 2), 64);
      multiply<I, 4, 7>(), multiply<I, 5, 7>(), multiply<I, 6, 7>();
    });
  }
  alignas(64) float sums[2 * Count][kRows * kRows];
  each<2 * Count>([&]<int I>() { store<I>(sums[I], 64); });
  unsigned again = 0;
  for (int i = 0; i < n; ++i) {
    float* out = values + (r + i) * block.job.padded + c;
    for (int p = 0; p < Count; ++p, out += kTileDepth) {
      const __m512 low = _mm512_load_ps(sums[2 * p] + i * kRows);
      const __m512 high = _mm512_load_ps(sums[2 * p + 1] + i * kRows);
      if (_mm512_cmp_ps_mask(low, high, _CMP_UNORD_Q) != 0) again |= 1u << i;
      _mm512_storeu_ps(out, _mm512_permutex2var_ps(low, lanes_in_pair_order<0>(), high));
      _mm512_storeu_ps(out + kRows, _mm512_permutex2var_ps(low, lanes_in_pair_order<1>(), high));
    }
  }
  return again;
}

/** Row r again, by AVX-512: a part of a weight that is zero makes of an infinite value what is not a number.
 */
inline void attend_again(const AttentionJob& job, int r, const Span* spans, int first, SoftmaxState* states,
                         float* values) {
  alignas(64) float q[kDepth];
  const auto* turned = reinterpret_cast<const std::uint32_t*>(job.q) + r;
  const int columns = columns_of(job.rows);
  for (int k = 0; k < job.width; k += kTileDepth) {
    for (int i = 0; i < kRows; ++i, turned += columns) {
      q[k + i] = __builtin_bit_cast(float, *turned << 16);
      q[k + kRows + i] = __builtin_bit_cast(float, *turned & 0xffff0000u);
    }
  }
  AttentionJob one = job;
  one.q = q;
  one.rows = 1;
  one.fetch = false;
  avx512_functions.attend_block[kBf16](one, spans + r, first, states + r, values + r * job.padded);
}

/** See RowFunctions::attend_block. */
inline void attend_block(const AttentionJob& job, const Span* spans, int first, SoftmaxState* states,
                         float* values) {
  if (!is_whole(job.width)) {
    return avx512_functions.attend_block[kBf16](job, spans, first, states, values);
  }
  const KeyBlock block{job, first};
  Scores scores;
  alignas(64) Weights weights;
  const Span all = rows::seen_by_any(spans, job.rows);
  if (all.begin < all.end) score_keys(block, all, scores);
  for (int r = 0; r < job.rows; ++r) {
    states[r] = {rows::kMinusInfinity, 0.0f};
    if (spans[r].begin >= spans[r].end) continue;
    states[r] = rows::exponentiate<Avx512>(scores[r], spans[r]);
    split(scores[r], spans[r], r, weights);
  }
  // Rows that see the same keys at a time: what a row does not see is not even multiplied by zero.
  Fetch keys(block.key(kKeyBlock), job.key_stride, job.fetch ? job.next_keys : 0, job.width);
  Tiles tiles;
  for (int r = 0, n; r < job.rows; r += n) {
    const Span seen = spans[r];
    for (n = 1; r + n < job.rows && spans[r + n].begin == seen.begin && spans[r + n].end == seen.end;) ++n;
    if (seen.begin >= seen.end) continue;
    tiles.shape<0, 1, 2, 3, 4, 5, 6>(n, 64);
    tiles.shape<7>(kRows, 64);
    tiles.use();
    unsigned again = 0;
    int c = 0;
    for (; c + 2 * kTileDepth <= job.width; c += 2 * kTileDepth)
      again |= sum_values<2>(block, seen, weights, r, n, c, keys, values);
    if (c < job.width) again |= sum_values<1>(block, seen, weights, r, n, c, keys, values);
    for (int i = 0; i < n; ++i)
      if (again >> i & 1) attend_again(job, r + i, spans, first, states, values);
  }
}

}  // namespace mlx_gemma::kernels::amx
