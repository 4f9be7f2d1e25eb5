// One block of keys for some query rows, and how blocks come together.
#pragma once

#include "rows_common.h"
#include "rows_linear.h"

namespace mlx_gemma::kernels::rows {

template <class V>
inline float exponential_of(float x) {
  alignas(64) float out[V::lanes];
  V::store(out, exponential<V>(V::splat(x)));
  return out[0];
}

inline constexpr float kMinusInfinity = -__builtin_inff();

/** From the first key that some row sees to the last; none: its end is before its beginning. */
static inline Span seen_by_any(const Span* spans, int rows) {
  Span all{kKeyBlock, 0};
  for (int r = 0; r < rows; ++r) {
    if (spans[r].begin >= spans[r].end) continue;
    all.begin = spans[r].begin < all.begin ? spans[r].begin : all.begin;
    all.end = spans[r].end > all.end ? spans[r].end : all.end;
  }
  return all;
}

/** Scores of R rows with keys [begin, end) of the block, from row `first` of the view on. */
template <class V, class T, int R>
inline void score_keys(const AttentionJob& job, int begin, int end, int first, float (*scores)[kKeyBlock]) {
  constexpr int C = R > 4 ? 2 : V::columns[R];
  const T* keys = static_cast<const T*>(job.keys) - first * job.key_stride;
  const auto group = [&]<int N>(int s) {
    float sums[R][N];
    dot_tile<V, T, R, N>(job.q, job.padded, keys + s * job.key_stride, job.key_stride, job.width, sums);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < N; ++c) scores[r][s + c] = sums[r][c] * job.scale;
  };
  // Values are read by columns, a far step from key to key that no processor foresees: ask for them in time.
  const char* values =
      reinterpret_cast<const char*>(static_cast<const T*>(job.values) - first * job.value_stride);
  const std::ptrdiff_t value_bytes = job.value_stride * static_cast<std::ptrdiff_t>(sizeof(T));
  const auto fetch = [&](int s) {
    const int row_bytes = job.width * static_cast<int>(sizeof(T));
    for (int i = 0; i < row_bytes; i += 64) __builtin_prefetch(values + s * value_bytes + i, 0, 2);
  };
  int s = begin;
  for (; s + C <= end; s += C) {
    if (job.fetch) {
      for (int c = 0; c < C; ++c) fetch(s + c);
    }
    group.template operator()<C>(s);
  }
  for (; s < end; ++s) {
    if (job.fetch) fetch(s);
    group.template operator()<1>(s);
  }
}

/** Scores of one row to exp(score - maximum) in place. What the row does not see becomes 0, whatever it held.
 */
template <class V>
inline SoftmaxState exponentiate(float* scores, Span span) {
  const int begin = span.begin / V::lanes * V::lanes;
  const int end = (span.end + V::lanes - 1) / V::lanes * V::lanes;
  for (int s = begin; s < span.begin; ++s) scores[s] = kMinusInfinity;
  for (int s = span.end; s < end; ++s) scores[s] = kMinusInfinity;
  typename V::Float most = V::splat(kMinusInfinity);
  for (int s = begin; s < end; s += V::lanes) most = V::maximum(V::load(scores + s), most);
  const float maximum = V::largest(most);
  // Where every score is -inf, exp(-inf - 0) gives the zeros that exp(-inf + inf) would not.
  const typename V::Float shift = V::splat(maximum == kMinusInfinity ? 0.0f : maximum);
  typename V::Float sum = V::zero();
  for (int s = begin; s < end; s += V::lanes) {
    const typename V::Float e = exponential<V>(V::subtract(V::load(scores + s), shift));
    V::store(scores + s, e);
    sum = V::add(sum, e);
  }
  return {maximum, V::sum(sum)};
}

/** values[r] += p[r][s] * value row s for s in [begin, end), one chain per element. */
template <class V, class T, int R>
inline void add_values(const AttentionJob& job, int begin, int end, int first, const float (*p)[kKeyBlock],
                       float* values) {
  if (begin >= end) return;
  constexpr int kAhead = 8;  // keys
  const T* rows = static_cast<const T*>(job.values) - first * job.value_stride;
  const auto columns = [&]<int N, bool Partial>(int c) {
    typename V::Float sums[R][2 * N];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < 2 * N; ++i) sums[r][i] = V::load(values + r * job.padded + c + i * V::lanes);
    for (int s = begin; s < end; ++s) {
      typename V::Float v[2 * N];
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) {
        const T* at = rows + s * job.value_stride + c + i * V::pair;
        __builtin_prefetch(at + kAhead * job.value_stride);
        if constexpr (Partial) {
          load_partial<V>(at, job.width - c, v[2 * i], v[2 * i + 1]);
        } else {
          V::load_pair(at, v[2 * i], v[2 * i + 1]);
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const typename V::Float weight = V::splat(p[r][s]);
#pragma GCC unroll 8
        for (int i = 0; i < 2 * N; ++i) sums[r][i] = V::fma(weight, v[i], sums[r][i]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int i = 0; i < 2 * N; ++i) V::store(values + r * job.padded + c + i * V::lanes, sums[r][i]);
  };
  constexpr int kRowsOfTwo = V::tile_rows / 2;  // whose sums leave room for two pairs
  constexpr int N = R == 1 ? 4 : R <= kRowsOfTwo ? 2 : 1;
  int c = 0;
  for (; c + N * V::pair <= job.width; c += N * V::pair) columns.template operator()<N, false>(c);
  for (; c + V::pair <= job.width; c += V::pair) columns.template operator()<1, false>(c);
  if (c < job.width) columns.template operator()<1, true>(c);
}

template <class V, class T, int R>
inline void attend_rows(const AttentionJob& job, const Span* spans, int first, SoftmaxState* states,
                        float* values) {
  alignas(64) float scores[R][kKeyBlock];
  const Span all = seen_by_any(spans, R);
  Span common{0, kKeyBlock};
  for (int r = 0; r < R; ++r) {
    common.begin = spans[r].begin > common.begin ? spans[r].begin : common.begin;
    common.end = spans[r].end < common.end ? spans[r].end : common.end;
  }
  score_keys<V, T, R>(job, all.begin, all.end, first, scores);
  for (int r = 0; r < R; ++r) {
    const bool sees = spans[r].begin < spans[r].end;
    states[r] = sees ? exponentiate<V>(scores[r], spans[r]) : SoftmaxState{kMinusInfinity, 0.0f};
    for (int i = 0; i < job.padded; ++i) values[r * job.padded + i] = 0.0f;
  }
  // Keys that only some of the rows see come row by row, before and after those that all see: still in order.
  // A key that is not seen is not even multiplied by zero, for its value may be anything.
  const bool shared = common.begin < common.end;
  for (int r = 0; r < R; ++r) {
    add_values<V, T, 1>(job, spans[r].begin, shared ? common.begin : spans[r].end, first, scores + r,
                        values + r * job.padded);
  }
  if (!shared) return;
  add_values<V, T, R>(job, common.begin, common.end, first, scores, values);
  for (int r = 0; r < R; ++r) {
    add_values<V, T, 1>(job, common.end, spans[r].end, first, scores + r, values + r * job.padded);
  }
}

template <class V, class T>
void load_queries(const void* const* rows, int count, int n, float* out) {
  const std::ptrdiff_t padded = (n + V::pair - 1) / V::pair * V::pair;
  for (int r = 0; r < count; ++r) widen<V, T>(rows[r], n, out + r * padded);
}

template <class V, class T>
void attend_block(const AttentionJob& job, const Span* spans, int first, SoftmaxState* states,
                  float* values) {
  AttentionJob part = job;
  const auto rows = [&]<int R>(int r) {
    part.q = job.q + r * job.padded;
    part.fetch = job.fetch && r == 0;
    attend_rows<V, T, R>(part, spans + r, first, states + r, values + r * job.padded);
    return r + R;
  };
  int r = 0;
  if constexpr (V::tile_rows == 8) {
    while (job.rows - r >= 8) r = rows.template operator()<8>(r);
  }
  while (job.rows - r >= 4) r = rows.template operator()<4>(r);
  if (job.rows - r == 3) rows.template operator()<3>(r);
  if (job.rows - r == 2) rows.template operator()<2>(r);
  if (job.rows - r == 1) rows.template operator()<1>(r);
}

template <class V>
void merge(SoftmaxState& into, float* into_values, const SoftmaxState& block, const float* values, int n) {
  const float maximum = block.maximum > into.maximum ? block.maximum : into.maximum;
  const float shift = maximum == kMinusInfinity ? 0.0f : maximum;
  const float keep = exponential_of<V>(into.maximum - shift);
  const float take = exponential_of<V>(block.maximum - shift);
  into.maximum = maximum;
  into.sum = into.sum * keep + block.sum * take;
  const typename V::Float kept = V::splat(keep), taken = V::splat(take);
  for (int i = 0; i < n; i += V::lanes) {
    const typename V::Float old = V::multiply(V::load(into_values + i), kept);
    V::store(into_values + i, V::fma(V::load(values + i), taken, old));
  }
}

template <class V, class T>
void finish(const SoftmaxState& state, const float* values, int n, void* out) {
  T* p = static_cast<T*>(out);
  const typename V::Float sum = V::splat(state.sum);
  for (int i = 0; i < n; i += V::pair) {
    const typename V::Float a = V::divide(V::load(values + i), sum);
    const typename V::Float b = V::divide(V::load(values + i + V::lanes), sum);
    if (i + V::pair <= n) {
      V::store_pair(p + i, a, b);
    } else {
      store_partial<V>(p + i, n - i, a, b);
    }
  }
}

}  // namespace mlx_gemma::kernels::rows
