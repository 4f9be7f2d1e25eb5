// Rows of x times packed weights. The weights of a tile become floats in registers' order, then
// rows_linear.h's sums do the rest: one order for few rows and for many.
#pragma once

#include "rows_linear.h"

namespace mlx_gemma::kernels::rows {

/** True if a pair of T is loaded as its even and its odd elements. */
template <class T>
constexpr bool kComesApart = false;
template <>
constexpr bool kComesApart<bf16> = true;

template <class T>
struct ElementOf {
  static constexpr Element value = Element::f32;
};
template <>
struct ElementOf<bf16> {
  static constexpr Element value = Element::bf16;
};
template <>
struct ElementOf<f16> {
  static constexpr Element value = Element::f16;
};

template <class V, class T>
void widen_even_odd(const void* in, int n, float* out) {
  if constexpr (kComesApart<T>) return widen<V, T>(in, n, out);
  const T* p = static_cast<const T*>(in);
  for (int k = 0; k < n; k += V::pair, out += V::pair) {
    typename V::Float a, b;
    if (k + V::pair <= n) {
      V::load_pair(p + k, a, b);
    } else {
      load_partial<V>(p + k, n - k, a, b);
    }
    alignas(64) float group[V::pair];
    V::store_pair(group, a, b);
    for (int i = 0; i < V::lanes; ++i) {
      out[i] = group[2 * i];
      out[V::lanes + i] = group[2 * i + 1];
    }
  }
}
/** `count` scales or biases as floats: where they are, or in `buffer`, which has room for a pair more. */
template <class V>
inline const float* floats_of(const void* in, int type, std::ptrdiff_t offset, int count, float* buffer) {
  if (type == static_cast<int>(Element::f32)) return static_cast<const float*>(in) + offset;
  if (type == static_cast<int>(Element::bf16)) {
    const bf16* p = static_cast<const bf16*>(in) + offset;
    for (int i = 0; i < count; ++i)
      buffer[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(p[i].bits) << 16);
    return buffer;
  }
  // float16 keeps its order in a pair.
  widen<V, f16>(static_cast<const f16*>(in) + offset, count, buffer);
  return buffer;
}

/** What a value of code c becomes: c * scale + bias in one rounding, or value(c) * scale, which is exact. */
template <class V, int B, QuantizationMode M>
inline typename V::Float weights_of(typename V::Int codes, typename V::Float scale, typename V::Float bias) {
  if constexpr (M == QuantizationMode::affine) return V::fma(V::to_float(codes), scale, bias);
  if constexpr (M == QuantizationMode::mxfp8) return V::multiply(V::look_up(kE4m3.at, codes), scale);
  return V::multiply(V::e2m1(codes), scale);
}

/** The codes of one pair from p, of which `left` bytes may be read. */
template <class V, int B>
inline void codes_of(const std::uint8_t* p, std::ptrdiff_t left, typename V::Int& even,
                     typename V::Int& odd) {
  constexpr int kReach = V::template codes_reach<B>();
  if (left >= kReach) return V::template codes<B>(p, even, odd);
  std::uint8_t copy[kReach] = {};
  for (std::ptrdiff_t i = 0; i < left; ++i) copy[i] = p[i];
  V::template codes<B>(copy, even, odd);
}

/** Groups of whole pairs. `left`: bytes from p to the end of the row. */
template <class V, int B, QuantizationMode M>
void unpack(const std::uint8_t* p, std::ptrdiff_t left, const float* scales, const float* biases, int group,
            int n, float* out) {
  constexpr int kBytes = V::pair * B / 8;
  if (M == QuantizationMode::nvfp4 && group < V::pair) {
    // Two groups in a pair: the first fills the lower halves of both vectors. The last pair may be half one.
    for (int k = 0; k < n; k += V::pair, p += kBytes, left -= kBytes, out += V::pair, scales += 2) {
      const typename V::Float scale = V::halves_of(scales[0], k + group < n ? scales[1] : 0.0f);
      typename V::Int even, odd;
      codes_of<V, B>(p, left, even, odd);
      V::store(out, weights_of<V, B, M>(even, scale, scale));
      V::store(out + V::lanes, weights_of<V, B, M>(odd, scale, scale));
    }
    return;
  }
  for (int k = 0; k < n; k += group, ++scales, ++biases) {
    const typename V::Float scale = V::splat(*scales), bias = V::splat(*biases);
    for (int i = 0; i < group; i += V::pair, p += kBytes, left -= kBytes, out += V::pair) {
      typename V::Int even, odd;
      codes_of<V, B>(p, left, even, odd);
      V::store(out, weights_of<V, B, M>(even, scale, bias));
      V::store(out + V::lanes, weights_of<V, B, M>(odd, scale, bias));
    }
  }
}

using Unpack = void (*)(const std::uint8_t*, std::ptrdiff_t, const float*, const float*, int, int, float*);

template <class V>
inline Unpack unpack_of(const PackedRows& w) {
  switch (w.mode) {
    case QuantizationMode::mxfp4:
      return unpack<V, 4, QuantizationMode::mxfp4>;
    case QuantizationMode::mxfp8:
      return unpack<V, 8, QuantizationMode::mxfp8>;
    case QuantizationMode::nvfp4:
      return unpack<V, 4, QuantizationMode::nvfp4>;
    case QuantizationMode::affine:
      break;
  }
  switch (w.bits) {
    case 2:
      return unpack<V, 2, QuantizationMode::affine>;
    case 3:
      return unpack<V, 3, QuantizationMode::affine>;
    case 4:
      return unpack<V, 4, QuantizationMode::affine>;
    case 5:
      return unpack<V, 5, QuantizationMode::affine>;
    case 6:
      return unpack<V, 6, QuantizationMode::affine>;
    default:
      return unpack<V, 8, QuantizationMode::affine>;
  }
}

/** Room for the scales of a block, or the biases. */
template <class V>
constexpr int kGroupFloats = kPackedDepth / 16 + V::pair;

/** Scales and biases (affine only) of elements [k, k + n) of row o. */
template <class V>
inline void groups_of(const PackedRows& w, std::ptrdiff_t o, int k, int n, float* scale_floats,
                      float* bias_floats, const float*& scales, const float*& biases) {
  const int groups = n / w.group_size;
  const std::ptrdiff_t first = k / w.group_size;
  scales = biases = scale_floats;
  if (w.mode == QuantizationMode::affine) {
    scales = floats_of<V>(w.scales, w.scales_type, o * w.scales_stride + first, groups, scale_floats);
    biases = floats_of<V>(w.biases, w.scales_type, o * w.biases_stride + first, groups, bias_floats);
    return;
  }
  const std::uint8_t* codes = static_cast<const std::uint8_t*>(w.scales) + o * w.scales_stride + first;
  for (int i = 0; i < groups; ++i) {
    // 2^(code - 127); 2^-127 has no exponent of its own.
    const std::uint32_t power = codes[i] == 0 ? 0x00400000u : static_cast<std::uint32_t>(codes[i]) << 23;
    scale_floats[i] =
        w.mode == QuantizationMode::nvfp4 ? kE4m3.at[codes[i]] : __builtin_bit_cast(float, power);
  }
}

/** Where element k of row o is, and how many bytes there are from there to the end of the row. */
inline const std::uint8_t* codes_at(const PackedRows& w, int depth, std::ptrdiff_t o, int k,
                                    std::ptrdiff_t& left) {
  const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(k) * w.bits / 8;
  left = static_cast<std::ptrdiff_t>(depth) * w.bits / 8 - begin;
  return w.codes + o * w.codes_stride + begin;
}

/** Elements [k, k + n) of row o of `depth` as floats in even-odd order, padded to whole pairs with zeros. */
template <class V>
inline void unpack_block(const PackedRows& w, Unpack unpack, int depth, int o, int k, int n, float* out) {
  alignas(64) float scale_floats[kGroupFloats<V>], bias_floats[kGroupFloats<V>];
  const float *scales, *biases;
  groups_of<V>(w, o, k, n, scale_floats, bias_floats, scales, biases);
  std::ptrdiff_t left;
  const std::uint8_t* codes = codes_at(w, depth, o, k, left);
  unpack(codes, left, scales, biases, w.group_size, n, out);
}

/** values * scale, plus bias in affine mode, each rounded to T; in place. */
template <class V, class T>
void scale_rounded(float* values, const float* scales, const float* biases, bool affine, int group, int n) {
  const T* type = nullptr;
  const int padded = (n + V::pair - 1) / V::pair * V::pair;
  for (int k = 0; k < padded; k += V::lanes) {
    // Vectors 2 j and 2 j + 1 are the even and the odd elements of pair j.
    const int pair = k / V::pair * V::pair, first = pair / group;
    const bool halves = group < V::pair;
    const auto of = [&](const float* all) {
      return halves ? V::halves_of(all[first], pair + group < n ? all[first + 1] : 0.0f)
                    : V::splat(all[first]);
    };
    typename V::Float value =
        V::round_to(type, V::multiply(V::load(values + k), V::round_to(type, of(scales))));
    if (affine) value = V::round_to(type, V::add(value, of(biases)));
    V::store(values + k, value);
  }
}

/** Row o as MLX dequantizes it: affine rounds to the scales' type at each step, the others to T. */
template <class V, class T>
void dequantize(const PackedRows& w, int depth, std::ptrdiff_t o, void* out) {
  const Unpack unpack = unpack_of<V>(w);
  constexpr int kGroups = kPackedDepth / 16;
  alignas(64) float ones[kGroups], zeros[kGroups];
  for (int i = 0; i < kGroups; ++i) {
    ones[i] = 1.0f;
    zeros[i] = 0.0f;
  }
  for (int k = 0; k < depth; k += kPackedDepth) {
    const int n = depth - k < kPackedDepth ? depth - k : kPackedDepth;
    alignas(64) float values[kPackedDepth], scale_floats[kGroupFloats<V>], bias_floats[kGroupFloats<V>];
    const float *scales, *biases;
    groups_of<V>(w, o, k, n, scale_floats, bias_floats, scales, biases);
    std::ptrdiff_t left;
    const std::uint8_t* codes = codes_at(w, depth, o, k, left);
    unpack(codes, left, ones, zeros, w.group_size, n, values);
    const bool affine = w.mode == QuantizationMode::affine;
    const int type = affine ? w.scales_type : static_cast<int>(ElementOf<T>::value);
    const auto scaled = type == static_cast<int>(Element::bf16)  ? scale_rounded<V, bf16>
                        : type == static_cast<int>(Element::f16) ? scale_rounded<V, f16>
                                                                 : scale_rounded<V, float>;
    scaled(values, scales, biases, affine, w.group_size, n);
    if constexpr (!kComesApart<T>) {
      for (int pair = 0; pair < n; pair += V::pair) {
        float group[V::pair];
        for (int i = 0; i < V::lanes; ++i) {
          group[2 * i] = values[pair + i];
          group[2 * i + 1] = values[pair + V::lanes + i];
        }
        for (int i = 0; i < V::pair; ++i) values[pair + i] = group[i];
      }
    }
    narrow<V, T>(values, n, static_cast<T*>(out) + k);
  }
}

/**
 * C weight rows from o times R rows of x, without a tile: for few rows, and codes that take few steps to
 * unpack. Each sum is the chain of lanes that dot_tile makes of the tile.
 */
template <class V, int B, QuantizationMode M, int R, int C>
inline void packed_dots(const PackedJob& job, int o, float* totals) {
  constexpr int kBytes = V::pair * B / 8;
  const int group = job.weight.group_size;
  for (int i = 0; i < R * C; ++i) totals[i] = 0.0f;
  for (int k = 0; k < job.depth; k += kPackedDepth) {
    const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
    alignas(64) float scale_floats[C][kGroupFloats<V>], bias_floats[C][kGroupFloats<V>];
    const float *scales[C], *biases[C];
    const std::uint8_t* codes[C];
    for (int c = 0; c < C; ++c) {
      groups_of<V>(job.weight, o + c, k, n, scale_floats[c], bias_floats[c], scales[c], biases[c]);
      std::ptrdiff_t left;
      codes[c] = codes_at(job.weight, job.depth, o + c, k, left);
    }
    typename V::Float sums[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) sums[r][c] = V::zero();
    const float* x = job.x + k;
    for (int g = 0; g * group < n; ++g) {
      typename V::Float scale[C], bias[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        scale[c] = V::splat(scales[c][g]);
        bias[c] = V::splat(biases[c][g]);
      }
      std::ptrdiff_t at = g * group / V::pair * kBytes;
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) __builtin_prefetch(codes[c] + C * job.weight.codes_stride + at);
      for (const float* end = x + group; x < end; x += V::pair, at += kBytes) {
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) {
          typename V::Int even, odd;
          V::template codes<B>(codes[c] + at, even, odd);
          const typename V::Float first = weights_of<V, B, M>(even, scale[c], bias[c]);
          const typename V::Float second = weights_of<V, B, M>(odd, scale[c], bias[c]);
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            sums[r][c] = V::fma(first, V::load(x + r * job.padded), sums[r][c]);
            sums[r][c] = V::fma(second, V::load(x + r * job.padded + V::lanes), sums[r][c]);
          }
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) totals[r * C + c] += V::sum(sums[r][c]);
  }
}

/** Weight rows [o, o + count), count <= kPackedGroup, times the job's rows: totals (rows, count). */
using PackedDots = void (*)(const PackedJob&, int o, int count, float* totals);
constexpr int kPackedGroup = 12;

template <class V, int B, QuantizationMode M, int R>
void packed_group(const PackedJob& job, int o, int count, float* totals) {
  // What the registers hold: sums, scales, biases, and a pair of weights.
  constexpr int C = V::lanes == 16 || R == 1 ? 4 : R == 2 ? 3 : 2;
  float sums[R * C];
  const auto put = [&](int c, int width) {
    for (int r = 0; r < R; ++r)
      for (int i = 0; i < width; ++i) totals[r * count + c + i] = sums[r * width + i];
  };
  int c = 0;
  for (; c + C <= count; c += C) {
    packed_dots<V, B, M, R, C>(job, o + c, sums);
    put(c, C);
  }
  for (; c < count; ++c) {
    packed_dots<V, B, M, R, 1>(job, o + c, sums);
    put(c, 1);
  }
}

/** The fused form of these weights for `rows` rows, or null where there is none. */
template <class V>
inline PackedDots packed_dots_of(const PackedRows& w, int rows) {
  const auto by_rows = [&]<int B, QuantizationMode M>() -> PackedDots {
    switch (rows) {
      case 1:
        return packed_group<V, B, M, 1>;
      case 2:
        return packed_group<V, B, M, 2>;
      case 3:
        return packed_group<V, B, M, 3>;
      case 4:
        return packed_group<V, B, M, 4>;
      default:
        return nullptr;
    }
  };
  if (w.mode == QuantizationMode::mxfp4) return by_rows.template operator()<4, QuantizationMode::mxfp4>();
  if (w.mode == QuantizationMode::affine && w.bits == 4)
    return by_rows.template operator()<4, QuantizationMode::affine>();
  if (w.mode == QuantizationMode::affine && w.bits == 8)
    return by_rows.template operator()<8, QuantizationMode::affine>();
  return nullptr;
}

template <class V, class T>
void linear_packed(const PackedJob& job, int begin, int end) {
  if (const PackedDots dots = packed_dots_of<V>(job.weight, job.rows)) {
    for (int o = begin; o < end; o += kPackedGroup) {
      const int count = end - o < kPackedGroup ? end - o : kPackedGroup;
      float totals[4 * kPackedGroup];
      dots(job, o, count, totals);
      for (int r = 0; r < job.rows; ++r)
        store_sums<V>(static_cast<T*>(job.out) + r * job.out_stride + o, totals + r * count, count);
    }
    return;
  }
  const Unpack unpack = unpack_of<V>(job.weight);
  const int most = packed_columns(job.rows);
  float* tile = job.scratch;                   // (most, kPackedDepth)
  float* totals = tile + most * kPackedDepth;  // (rows, most)
  for (int o = begin; o < end; o += most) {
    const int columns = end - o < most ? end - o : most;
    for (int i = 0; i < job.rows * most; ++i) totals[i] = 0.0f;
    for (int k = 0; k < job.depth; k += kPackedDepth) {
      const int n = job.depth - k < kPackedDepth ? job.depth - k : kPackedDepth;
      const int padded = (n + V::pair - 1) / V::pair * V::pair;
      for (int c = 0; c < columns; ++c) {
        unpack_block<V>(job.weight, unpack, job.depth, o + c, k, n, tile + c * kPackedDepth);
      }
      const auto rows = [&]<int R>(int r) {
        // One row alone needs more chains.
        constexpr int C = R == 1 && V::wide_columns == 3 ? 6 : V::wide_columns;
        tile_rows<V, R, C>(job.x + r * job.padded + k, job.padded, tile, kPackedDepth, padded, columns,
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
