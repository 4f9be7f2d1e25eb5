// Norm, activation and rotation of single rows.
#pragma once

#include "rows_linear.h"

namespace mlx_gemma::kernels::rows {

/** Calls f(k, n) with each group of n = pair elements and, at the end, with what is left. */
template <class V, class F>
inline void each_group(std::size_t count, F f) {
  std::size_t k = 0;
  for (; k + V::pair <= count; k += V::pair) f(k, static_cast<int>(V::pair));
  if (k < count) f(k, static_cast<int>(count - k));
}

template <class V, class T>
inline void load_group(const T* p, int n, typename V::Float& a, typename V::Float& b) {
  n == V::pair ? V::load_pair(p, a, b) : load_partial<V>(p, n, a, b);
}

template <class V, class T>
inline void store_group(T* p, int n, typename V::Float a, typename V::Float b) {
  n == V::pair ? V::store_pair(p, a, b) : store_partial<V>(p, n, a, b);
}

/**
 * g / 2 * (1 + tanh u) as g / (1 + e^(-2u)), u = sqrt(2/pi) * (g + 0.044715 g³): no cancellation for negative
 * g. 0 where that is less than e^-44 of g: next to nothing would make subnormal products, which slow
 * some processors down a lot (in the reference it is 0 below 2^-25 already).
 */
template <class V>
inline typename V::Float gelu(typename V::Float g) {
  using Float = typename V::Float;
  const Float limit = V::splat(-44.0f);
  const Float square = V::multiply(g, g);
  const Float inner = V::multiply(g, V::fma(square, V::splat(0.044715f), V::splat(1.0f)));
  const Float twice = V::multiply(inner, V::splat(1.5957691216057308f));
  const Float power = exponential<V>(V::subtract(V::zero(), V::maximum(limit, twice)));
  return V::zero_below(V::divide(g, V::add(V::splat(1.0f), power)), twice, limit);
}

/**
 * tanh: an odd polynomial (Cephes' tanhf) near 0, where 1 - 2 / (e^(2|x|) + 1) would cancel. Past 44, where
 * tanh is 1, the polynomial would overflow.
 */
template <class V>
inline typename V::Float hyperbolic_tangent(typename V::Float x) {
  using Float = typename V::Float;
  x = V::maximum(V::splat(-44.0f), V::minimum(V::splat(44.0f), x));  // NaN stays
  const Float size = V::maximum(x, V::subtract(V::zero(), x));
  const Float square = V::multiply(x, x);
  Float p = V::splat(-5.70498872745e-3f);
  p = V::fma(p, square, V::splat(2.06390887954e-2f));
  p = V::fma(p, square, V::splat(-5.37397155531e-2f));
  p = V::fma(p, square, V::splat(1.33314422036e-1f));
  p = V::fma(p, square, V::splat(-3.33332819422e-1f));
  const Float near = V::fma(V::multiply(p, square), x, x);
  const Float power = exponential<V>(V::add(size, size));
  const Float far = V::subtract(V::splat(1.0f), V::divide(V::splat(2.0f), V::add(power, V::splat(1.0f))));
  const Float limit = V::splat(0.625f);
  // The sign of x is x / |x|; at 0, where that is none, the polynomial is taken.
  const Float outer = V::zero_below(V::multiply(far, V::divide(x, size)), size, limit);
  return V::add(outer, V::subtract(near, V::zero_below(near, size, limit)));
}

template <class V, class T>
void softcap(const void* x, std::size_t count, float cap, void* out) {
  const T* type = nullptr;
  const typename V::Float by = V::splat(cap);
  const auto capped = [&](typename V::Float a) {
    const typename V::Float part = V::round_to(type, V::divide(a, by));
    return V::multiply(V::round_to(type, hyperbolic_tangent<V>(part)), by);
  };
  each_group<V>(count, [&](std::size_t k, int n) {
    typename V::Float a, b;
    load_group<V>(static_cast<const T*>(x) + k, n, a, b);
    store_group<V>(static_cast<T*>(out) + k, n, capped(a), capped(b));
  });
}

template <class V, class T>
void gelu_multiply(const void* gate, const void* up, std::size_t count, void* out) {
  const T* g = static_cast<const T*>(gate);
  const T* u = static_cast<const T*>(up);
  T* o = static_cast<T*>(out);
  each_group<V>(count, [&](std::size_t k, int n) {
    typename V::Float g0, g1, u0, u1;
    load_group<V>(g + k, n, g0, g1);
    load_group<V>(u + k, n, u0, u1);
    const T* type = nullptr;
    store_group<V>(o + k, n, V::multiply(V::round_to(type, gelu<V>(g0)), u0),
                   V::multiply(V::round_to(type, gelu<V>(g1)), u1));
  });
}

template <class V, class T>
void add(const void* a, const void* b, std::size_t count, void* out) {
  each_group<V>(count, [&](std::size_t k, int n) {
    typename V::Float a0, a1, b0, b1;
    load_group<V>(static_cast<const T*>(a) + k, n, a0, a1);
    load_group<V>(static_cast<const T*>(b) + k, n, b0, b1);
    store_group<V>(static_cast<T*>(out) + k, n, V::add(a0, b0), V::add(a1, b1));
  });
}

template <class V, class T>
void scale(const void* x, float factor, std::size_t count, void* out) {
  const typename V::Float by = V::splat(factor);
  each_group<V>(count, [&](std::size_t k, int n) {
    typename V::Float a, b;
    load_group<V>(static_cast<const T*>(x) + k, n, a, b);
    store_group<V>(static_cast<T*>(out) + k, n, V::multiply(a, by), V::multiply(b, by));
  });
}

/** A group of n elements, folded into `largest`; what is no number stays out. */
template <class V, class T>
inline typename V::Float fold_largest(const T* p, int n, typename V::Float largest) {
  typename V::Float a, b;
  if (n == V::pair) {
    V::load_pair(p, a, b);
  } else {
    alignas(64) T group[V::pair];
    for (int i = 0; i < V::pair; ++i) group[i] = p[i < n ? i : 0];
    V::load_pair(group, a, b);
  }
  return V::maximum(a, V::maximum(b, largest));
}

template <class V, class T>
int argmax(const void* x, int count) {
  const T* p = static_cast<const T*>(x);
  const float lowest = -__builtin_inff();
  // Of each block of groups only its largest element is kept, and of all blocks the first that has the
  // largest.
  constexpr int kBlock = 32 * V::pair;
  float best = lowest;
  int place = 0;
  for (int begin = 0; begin < count; begin += kBlock) {
    const int n = count - begin < kBlock ? count - begin : kBlock;
    typename V::Float largest = V::splat(lowest);
    each_group<V>(n, [&](std::size_t k, int m) { largest = fold_largest<V>(p + begin + k, m, largest); });
    const float found = V::largest(largest);
    if (found > best) best = found, place = begin;
  }
  // Then its group, and its place there.
  const auto has_best = [&](int at, int n) {
    return V::largest(fold_largest<V>(p + at, n, V::splat(lowest))) == best;
  };
  const auto group = [&](int at) { return count - at < V::pair ? count - at : int{V::pair}; };
  while (place + V::pair < count && !has_best(place, group(place))) place += V::pair;
  const int end = place + group(place);
  for (int i = place; i < end; ++i)
    if (has_best(i, 1)) return i;
  return 0;  // No element is a number.
}

template <class V>
void exponentials(const float* x, int count, float* out) {
  each_group<V>(static_cast<std::size_t>(count), [&](std::size_t k, int n) {
    typename V::Float a, b;
    load_group<V>(x + k, n, a, b);
    store_group<V>(out + k, n, exponential<V>(a), exponential<V>(b));
  });
}

template <class V, class T>
void rms_norm(const void* x, const void* weight, int count, float eps, void* out) {
  const T* p = static_cast<const T*>(x);
  T* o = static_cast<T*>(out);
  typename V::Float a, b;
  typename V::Float first = V::zero(), second = V::zero();
  each_group<V>(count, [&](std::size_t k, int n) {
    load_group<V>(p + k, n, a, b);
    first = V::fma(a, a, first);
    second = V::fma(b, b, second);
  });
  const float mean = V::sum(V::add(first, second)) / static_cast<float>(count);
  const typename V::Float factor = V::splat(1.0f / __builtin_sqrtf(mean + eps));
  each_group<V>(count, [&](std::size_t k, int n) {
    load_group<V>(p + k, n, a, b);
    a = V::multiply(a, factor);
    b = V::multiply(b, factor);
    if (weight != nullptr) {
      typename V::Float w0, w1;
      load_group<V>(static_cast<const T*>(weight) + k, n, w0, w1);
      a = V::multiply(a, w0);
      b = V::multiply(b, w1);
    }
    store_group<V>(o + k, n, a, b);
  });
}

/**
 * Sine and cosine in double, within a unit in the last place of a float for |x| < 2^20: the quarter turns are
 * taken off with pi/2 in two parts, then Taylor's polynomials on [-pi/4, pi/4].
 */
template <class V>
inline void sine_cosine(double x, double& sine, double& cosine) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves no bits for a fraction
  const double shifted = x * 0.63661977236758134308 + kRound;
  const double n = shifted - kRound;
  const double r = (x - n * 1.5707963109016418) - n * 1.5893254712295857e-08;
  const double q = r * r;
  const double s =
      r +
      r * q * (-1.0 / 6 + q * (1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880 + q * (-1.0 / 39916800)))));
  const double c =
      1.0 + q * (-0.5 + q * (1.0 / 24 + q * (-1.0 / 720 + q * (1.0 / 40320 + q * (-1.0 / 3628800)))));
  // The low bits of `shifted` are n modulo a power of two.
  const std::uint64_t turns = __builtin_bit_cast(std::uint64_t, shifted) & 3u;
  const double swapped_s = (turns & 1u) != 0 ? c : s;
  const double swapped_c = (turns & 1u) != 0 ? s : c;
  sine = (turns & 2u) != 0 ? -swapped_s : swapped_s;
  cosine = ((turns + 1) & 2u) != 0 ? -swapped_c : swapped_c;
}

template <class V, class T>
void rope_table(const float* frequencies, int half, float position, void* cos, void* sin) {
  each_group<V>(half, [&](std::size_t k, int n) {
    alignas(64) float cosines[V::pair], sines[V::pair];
    for (int i = 0; i < V::pair; ++i) {
      const float angle = i < n ? position * frequencies[k + i] : 0.0f;
      double s, c;
      sine_cosine<V>(angle, s, c);
      // NaN and infinite angles, and those past the reduction's range, are no positions: let them show.
      const bool fine = angle < 1048576.0f && angle > -1048576.0f;
      cosines[i] = fine ? static_cast<float>(c) : __builtin_nanf("");
      sines[i] = fine ? static_cast<float>(s) : __builtin_nanf("");
    }
    for (int i = 0; i < n; ++i) {
      store_one<V>(static_cast<T*>(cos) + k + i, cosines[i]);
      store_one<V>(static_cast<T*>(sin) + k + i, sines[i]);
    }
  });
}

template <class V, class T>
void rope_row(const void* x, const void* cos, const void* sin, int half, void* out) {
  const T* low = static_cast<const T*>(x);
  const T* high = low + half;
  T* o = static_cast<T*>(out);
  const T* type = nullptr;
  const auto rounded = [&](typename V::Float a, typename V::Float b) {
    return V::round_to(type, V::multiply(a, b));
  };
  each_group<V>(half, [&](std::size_t k, int n) {
    typename V::Float l0, l1, h0, h1, c0, c1, s0, s1;
    load_group<V>(low + k, n, l0, l1);
    load_group<V>(high + k, n, h0, h1);
    load_group<V>(static_cast<const T*>(cos) + k, n, c0, c1);
    load_group<V>(static_cast<const T*>(sin) + k, n, s0, s1);
    store_group<V>(o + k, n, V::subtract(rounded(l0, c0), rounded(h0, s0)),
                   V::subtract(rounded(l1, c1), rounded(h1, s1)));
    store_group<V>(o + half + k, n, V::add(rounded(h0, c0), rounded(l0, s0)),
                   V::add(rounded(h1, c1), rounded(l1, s1)));
  });
}

}  // namespace mlx_gemma::kernels::rows
