// Eight float lanes as a plain array, which the compiler turns into what the processor has: NEON, SSE2, or
// scalars.
#pragma once

#include "element.h"
#include "packed.h"

namespace mlx_gemma::kernels {

struct Portable {
  static constexpr int lanes = 8;
  static constexpr int pair = 2 * lanes;
  /** Weight rows that R rows of x are multiplied with at a time: chains enough, and sums that fit the
   * registers. */
  static constexpr int columns[5] = {0, 4, 2, 2, 2};
  /** The same for 4 rows and weights that are floats already. */
  static constexpr int wide_columns = 2;
  /** Query rows whose sums over keys the registers hold. */
  static constexpr int tile_rows = 4;
  static constexpr bool kSixteen = false;
  struct Float {
    float at[lanes];
  };

  template <class F>
  static Float each(F f) {
    Float out;
    for (int i = 0; i < lanes; ++i) out.at[i] = f(i);
    return out;
  }

  static Float zero() { return splat(0.0f); }
  static Float splat(float a) {
    return each([&](int) { return a; });
  }
  static Float load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static void store(float* p, Float a) {
    for (int i = 0; i < lanes; ++i) p[i] = a.at[i];
  }
  static void hold(Float&) {}
  static Float add(Float a, Float b) {
    return each([&](int i) { return a.at[i] + b.at[i]; });
  }
  static Float subtract(Float a, Float b) {
    return each([&](int i) { return a.at[i] - b.at[i]; });
  }
  static Float multiply(Float a, Float b) {
    return each([&](int i) { return a.at[i] * b.at[i]; });
  }
  static Float divide(Float a, Float b) {
    return each([&](int i) { return a.at[i] / b.at[i]; });
  }
  /** Fused where the processor can, else two roundings; never left to the compiler's choice. */
  static Float fma(Float a, Float b, Float c) {
#if defined(__aarch64__)
    return each([&](int i) { return __builtin_fmaf(a.at[i], b.at[i], c.at[i]); });
#else
    return each([&](int i) { return a.at[i] * b.at[i] + c.at[i]; });
#endif
  }
  /** b where either is NaN. */
  static Float maximum(Float a, Float b) {
    return each([&](int i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
  }
  static Float minimum(Float a, Float b) {
    return each([&](int i) { return a.at[i] < b.at[i] ? a.at[i] : b.at[i]; });
  }
  /** For |a| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction. */
  static Float nearest(Float a) {
    return each([&](int i) { return (a.at[i] + 12582912.0f) - 12582912.0f; });
  }
  /** a where x >= limit (or x is NaN), else 0. */
  static Float zero_below(Float a, Float x, Float limit) {
    return each([&](int i) { return x.at[i] < limit.at[i] ? 0.0f : a.at[i]; });
  }
  /** a * 2^n for integral n in [-126, 127]. */
  static Float scale(Float a, Float n) {
    return each([&](int i) {
      // A NaN has no integer: it stays in `a`, whatever the factor.
      const float safe = n.at[i] == n.at[i] ? n.at[i] : 0.0f;
      return a.at[i] * from_bits(static_cast<std::uint32_t>(static_cast<int>(safe) + 127) << 23);
    });
  }
  static float sum(Float a) {
    return ((a.at[0] + a.at[4]) + (a.at[2] + a.at[6])) + ((a.at[1] + a.at[5]) + (a.at[3] + a.at[7]));
  }
  static void sum_four(Float a, Float b, Float c, Float d, float* out) {
    out[0] = sum(a);
    out[1] = sum(b);
    out[2] = sum(c);
    out[3] = sum(d);
  }
  static float largest(Float a) {
    float out = a.at[0];
    for (int i = 1; i < lanes; ++i) out = a.at[i] > out ? a.at[i] : out;
    return out;
  }

  /** Vector H (0 or 1) of the pair at p. */
  template <int H>
  static Float load_half(const float* p) {
    return load(p + H * lanes);
  }
  /** Even elements, then odd ones, as on the other instruction sets. */
  template <int H>
  static Float load_half(const bf16* p) {
    return each([&](int i) { return from_bits(static_cast<std::uint32_t>(p[2 * i + H].bits) << 16); });
  }
  template <int H>
  static Float load_half(const f16* p) {
    return each([&](int i) { return widen(p[i + H * lanes]); });
  }
  template <class T>
  static void load_pair(const T* p, Float& a, Float& b) {
    a = load_half<0>(p);
    b = load_half<1>(p);
  }

  /** Four elements in their order. */
  static void widen_four(const bf16* p, float* out) {
    for (int i = 0; i < 4; ++i) out[i] = from_bits(static_cast<std::uint32_t>(p[i].bits) << 16);
  }

  static void store_pair(float* p, Float a, Float b) {
    store(p, a);
    store(p + lanes, b);
  }
  static void store_pair(bf16* p, Float a, Float b) {
    for (int i = 0; i < lanes; ++i) {
      p[2 * i].bits = static_cast<std::uint16_t>(bf16_bits(a.at[i]) >> 16);
      p[2 * i + 1].bits = static_cast<std::uint16_t>(bf16_bits(b.at[i]) >> 16);
    }
  }
  static void store_pair(f16* p, Float a, Float b) {
    for (int i = 0; i < lanes; ++i) {
      p[i] = narrow(a.at[i]);
      p[i + lanes] = narrow(b.at[i]);
    }
  }

  /** Rounds to the type's precision, as a float. */
  static Float round_to(const float*, Float a) { return a; }
  static Float round_to(const bf16*, Float a) {
    return each([&](int i) { return from_bits(bf16_bits(a.at[i])); });
  }
  static Float round_to(const f16*, Float a) {
    return each([&](int i) { return widen(narrow(a.at[i])); });
  }

  struct Int {
    std::int32_t at[lanes];
  };
  /** Bytes that codes() reads. */
  template <int B>
  static constexpr int codes_reach() {
    return pair * B / 8;
  }
  /** The codes of a pair of elements of B bits each, from p: even elements, then odd ones. */
  template <int B>
  static void codes(const std::uint8_t* p, Int& even, Int& odd) {
    const auto code = [&](int i) {
      const int byte = i * B / 8, shift = i * B % 8;
      int bits = p[byte] >> shift;
      if (shift + B > 8) bits |= p[byte + 1] << (8 - shift);
      return bits & ((1 << B) - 1);
    };
    for (int i = 0; i < lanes; ++i) {
      even.at[i] = code(2 * i);
      odd.at[i] = code(2 * i + 1);
    }
  }
  static Float to_float(Int a) {
    return each([&](int i) { return static_cast<float>(a.at[i]); });
  }
  static Float look_up(const float* table, Int a) {
    return each([&](int i) { return table[a.at[i]]; });
  }
  /** kE2m1[a]. */
  static Float e2m1(Int a) { return look_up(kE2m1, a); }
  /** Never needed: a pair holds no more than the smallest group. */
  static Float halves_of(float low, float) { return splat(low); }

 private:
  static float from_bits(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
  static std::uint32_t to_bits(float a) { return __builtin_bit_cast(std::uint32_t, a); }

  static std::uint32_t bf16_bits(float a) {
    const std::uint32_t bits = to_bits(a);
    const std::uint32_t up = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
    return a == a ? up : 0x7fc00000u;
  }

#if defined(__aarch64__)
  static float widen(f16 a) { return static_cast<float>(__builtin_bit_cast(__fp16, a.bits)); }
  static f16 narrow(float a) { return {__builtin_bit_cast(std::uint16_t, static_cast<__fp16>(a))}; }
#else
  /** Moves the exponent by a multiplication, which also makes normal numbers of subnormal ones. */
  static float widen(f16 a) {
    const std::uint32_t sign = static_cast<std::uint32_t>(a.bits & 0x8000u) << 16;
    const std::uint32_t rest = static_cast<std::uint32_t>(a.bits & 0x7fffu) << 13;
    const float finite = from_bits(rest) * 0x1p112f;
    const float value = (a.bits & 0x7c00u) == 0x7c00u ? from_bits(rest | 0x7f800000u) : finite;
    return from_bits(to_bits(value) | sign);
  }
  /** Nearest even: the addition of a power of two rounds at the right bit. */
  static f16 narrow(float a) {
    const std::uint32_t sign = (to_bits(a) >> 16) & 0x8000u;
    const float size = from_bits(to_bits(a) & 0x7fffffffu);
    std::uint32_t out;
    if (!(size == size)) {
      out = 0x7e00u;
    } else if (size >= 65520.0f) {
      out = 0x7c00u;
    } else if (size < 0x1p-14f) {
      out = to_bits(size + 0.5f) - to_bits(0.5f);  // the unit in the last place of 0.5f is 2^-24
    } else {
      const std::uint32_t bits = to_bits(size);
      out = (bits - 0x38000000u + 0x0fffu + ((bits >> 13) & 1u)) >> 13;
    }
    return {static_cast<std::uint16_t>(out | sign)};
  }
#endif
};

}  // namespace mlx_gemma::kernels
