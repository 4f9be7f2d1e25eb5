// Packed weights as floats: the values of their codes, and the scales and biases of their groups.
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

/** What codes stand for before their group's scale: whole numbers, or small floats. */
template <class V, QuantizationMode M>
inline typename V::Float values_of(typename V::Int codes) {
  if constexpr (M == QuantizationMode::affine) return V::to_float(codes);
  if constexpr (M == QuantizationMode::mxfp8) return V::look_up(kE4m3.at, codes);
  return V::e2m1(codes);
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

/** Values of n elements from p in even-odd order, in whole pairs. `left`: bytes from p to the end of the row.
 */
template <class V, int B, QuantizationMode M>
void unpack(const std::uint8_t* p, std::ptrdiff_t left, int n, float* out) {
  constexpr int kBytes = V::pair * B / 8;
  for (int k = 0; k < n; k += V::pair, p += kBytes, left -= kBytes, out += V::pair) {
    typename V::Int even, odd;
    codes_of<V, B>(p, left, even, odd);
    V::store(out, values_of<V, M>(even));
    V::store(out + V::lanes, values_of<V, M>(odd));
  }
}

using Unpack = void (*)(const std::uint8_t*, std::ptrdiff_t, int, float*);

template <class V>
inline Unpack unpack_of(const PackedRows& w) {
  switch (w.mode) {
    case QuantizationMode::mxfp4:
    case QuantizationMode::nvfp4:
      return unpack<V, 4, QuantizationMode::mxfp4>;
    case QuantizationMode::mxfp8:
      return unpack<V, 8, QuantizationMode::mxfp8>;
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

/** Where element k of row o is, and how many bytes there are from there to the end of the row. */
inline const std::uint8_t* codes_at(const PackedRows& w, int depth, std::ptrdiff_t o, int k,
                                    std::ptrdiff_t& left) {
  const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(k) * w.bits / 8;
  left = static_cast<std::ptrdiff_t>(depth) * w.bits / 8 - begin;
  return w.codes + o * w.codes_stride + begin;
}

/** `count` scales or biases as floats; something after them up to a whole vector may be written, too. */
template <class V>
inline void floats_of(const void* in, int type, std::ptrdiff_t offset, int count, float* out) {
  int i = 0;
  if (type == static_cast<int>(Element::bf16)) {
    const bf16* p = static_cast<const bf16*>(in) + offset;
    for (; i + 4 <= count; i += 4) V::widen_four(p + i, out + i);
    for (; i < count; ++i) out[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(p[i].bits) << 16);
  } else if (type == static_cast<int>(Element::f16)) {
    widen<V, f16>(static_cast<const f16*>(in) + offset, count, out);  // keeps its order in a pair
    i = count;
  } else {
    const float* p = static_cast<const float*>(in) + offset;
    for (; i < count; ++i) out[i] = p[i];
  }
}

/** The groups of a block of one row. */
struct Groups {
  alignas(64) float scales[kGroupFloats];
  alignas(64) float biases[kGroupFloats];  // affine only
};

/** Those of elements [k, k + n) of row o; `whole`: zeros after the biases up to a whole vector. */
template <class V, bool whole = true>
inline void groups_of(const PackedRows& w, std::ptrdiff_t o, int k, int n, Groups& out) {
  const int groups = n / w.group_size;
  const std::ptrdiff_t first = k / w.group_size;
  if (w.mode == QuantizationMode::affine) {
    floats_of<V>(w.scales, w.scales_type, o * w.scales_stride + first, groups, out.scales);
    floats_of<V>(w.biases, w.scales_type, o * w.biases_stride + first, groups, out.biases);
    for (int i = groups; whole && i % V::lanes != 0; ++i) out.biases[i] = 0.0f;
    return;
  }
  const std::uint8_t* codes = static_cast<const std::uint8_t*>(w.scales) + o * w.scales_stride + first;
  for (int i = 0; i < groups; ++i) {
    // 2^(code - 127); 2^-127 has no exponent of its own.
    const std::uint32_t power = codes[i] == 0 ? 0x00400000u : static_cast<std::uint32_t>(codes[i]) << 23;
    out.scales[i] = w.mode == QuantizationMode::nvfp4 ? kE4m3.at[codes[i]] : __builtin_bit_cast(float, power);
  }
  out.scales[groups] = 0.0f;
}

/** What a pair, or a group of more, is multiplied with: two scales where groups are half a pair. */
template <class V>
inline typename V::Float scale_at(const float* scales, int group) {
  return group < V::pair ? V::halves_of(scales[0], scales[1]) : V::splat(scales[0]);
}

/** values * scale, plus bias in affine mode, each rounded to T; in place. */
template <class V, class T>
void scale_rounded(float* values, const Groups& groups, bool affine, int group, int n) {
  const T* type = nullptr;
  const int padded = (n + V::pair - 1) / V::pair * V::pair;
  for (int k = 0; k < padded; k += V::lanes) {
    // Vectors 2 j and 2 j + 1 are the even and the odd elements of pair j.
    const int pair = k / V::pair * V::pair;
    const typename V::Float scale = V::round_to(type, scale_at<V>(groups.scales + pair / group, group));
    typename V::Float value = V::round_to(type, V::multiply(V::load(values + k), scale));
    if (affine) value = V::round_to(type, V::add(value, V::splat(groups.biases[pair / group])));
    V::store(values + k, value);
  }
}

/** Row o as MLX dequantizes it: affine rounds to the scales' type at each step, the others to T. */
template <class V, class T>
void dequantize(const PackedRows& w, int depth, std::ptrdiff_t o, void* out) {
  const Unpack unpack = unpack_of<V>(w);
  for (int k = 0; k < depth; k += kPackedDepth) {
    const int n = depth - k < kPackedDepth ? depth - k : kPackedDepth;
    alignas(64) float values[kPackedDepth];
    Groups groups;
    groups_of<V>(w, o, k, n, groups);
    std::ptrdiff_t left;
    const std::uint8_t* codes = codes_at(w, depth, o, k, left);
    unpack(codes, left, n, values);
    const bool affine = w.mode == QuantizationMode::affine;
    const int type = affine ? w.scales_type : static_cast<int>(ElementOf<T>::value);
    const auto scaled = type == static_cast<int>(Element::bf16)  ? scale_rounded<V, bf16>
                        : type == static_cast<int>(Element::f16) ? scale_rounded<V, f16>
                                                                 : scale_rounded<V, float>;
    scaled(values, groups, affine, w.group_size, n);
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

}  // namespace mlx_gemma::kernels::rows
