// Each kernel but the products (products_test.cpp) against its definition in float64, within a stated bound,
// on normal and on hostile input.
#include <cmath>
#include <limits>

#include "check.h"

namespace mlx_gemma::kernels::test {
namespace {

constexpr double kEpsilon = 0x1p-24;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double rounded(double value, mx::Dtype dtype) {
  return numbers(from_values({static_cast<float>(value)}, {1}, dtype))[0];
}

struct AttentionCase {
  int heads, kv_heads, rows, keys, width;
  std::optional<AttentionMask> mask;
  double size = 1.0;  // of the queries
  Size values = Size::ordinary;
  /** Keys that all weigh the same, with values in pairs of opposite sign. */
  bool cancelling = false;
};

mx::array paired_values(const mx::Shape& shape, mx::Dtype dtype) {
  std::vector<float> signs(shape[2]);
  for (int s = 0; s < shape[2]; ++s) signs[s] = s % 2 == 0 ? 1.0f : -1.0f;
  return mx::multiply(mx::repeat(normal({1, shape[1], 1, shape[3]}, dtype), shape[2], 2),
                      from_values(signs, {shape[2], 1}, dtype));
}

void attention_case(const AttentionCase& c, mx::Dtype dtype) {
  const mx::array q = normal({1, c.heads, c.rows, c.width}, dtype, c.size);
  const mx::Shape shape{1, c.kv_heads, c.keys, c.width};
  const mx::array k =
      c.cancelling ? mx::repeat(normal({1, c.kv_heads, 1, c.width}, dtype), c.keys, 2) : normal(shape, dtype);
  const mx::array v = c.cancelling ? paired_values(shape, dtype) : sized(c.values, shape, dtype);
  const float scale = 1.0f / std::sqrt(static_cast<float>(c.width));
  const auto qs = numbers(q), ks = numbers(k), vs = numbers(v),
             got = numbers(attention(q, k, v, scale, c.mask));
  bool ok = got.size() == qs.size();
  for (int h = 0; h < c.heads; ++h) {
    const int g = h / (c.heads / c.kv_heads);
    for (int t = 0; t < c.rows; ++t) {
      const double* row = qs.data() + (h * c.rows + t) * c.width;
      std::vector<double> score(c.keys, -kInfinity);
      double most = -kInfinity, size = 0;
      for (int s = 0; s < c.keys; ++s) {
        const int distance = c.mask ? c.mask->query_offset + t - c.mask->key_offset - s : 0;
        if (distance < 0 || (c.mask && c.mask->window > 0 && distance >= c.mask->window)) continue;
        double dot = 0, magnitude = 0;
        for (int i = 0; i < c.width; ++i) {
          dot += row[i] * ks[(g * c.keys + s) * c.width + i];
          magnitude += std::abs(row[i] * ks[(g * c.keys + s) * c.width + i]);
        }
        score[s] = dot * scale;
        most = std::max(most, score[s]);
        size = std::max(size, magnitude * scale);
      }
      double sum = 0, largest = 0;
      std::vector<double> want(c.width, 0.0), weight(c.width, 0.0), lost(c.width, 0.0);
      for (int s = 0; s < c.keys; ++s) {
        const double e = score[s] == -kInfinity ? 0.0 : std::exp(score[s] - most);
        sum += e;
        for (int i = 0; i < c.width; ++i) {
          want[i] += e * vs[(g * c.keys + s) * c.width + i];
          const double value = std::abs(vs[(g * c.keys + s) * c.width + i]);
          weight[i] += e * value;
          largest = std::max(largest, value);
          if (flushes(dtype)) {  // three products a key, of which a weight's smaller parts may be subnormal
            lost[i] += (value < kSmallestNormal ? e * value : 0) + 3 * kSmallestNormal * (1 + value);
          }
        }
      }
      // The scores' own error (as in linear) is a relative error of every exp; then come chains over the
      // keys.
      const double relative =
          (2 * (c.width / 8.0 + 24) * size + std::min(c.keys, 128) + c.keys / 64.0 + 30) * kEpsilon;
      for (int i = 0; i < c.width; ++i) {
        const double expected = sum > 0 ? want[i] / sum : 0.0;
        // A weight below e^-87.3 counts as none; a step may be subnormal.
        const double bound =
            sum > 0 ? (2 * relative * weight[i] + lost[i]) / sum + c.keys * (0x1p-125 * largest + 0x1p-147)
                    : 0.0;
        ok = ok && within("attention", got[(h * c.rows + t) * c.width + i], expected, bound, dtype);
      }
    }
  }
  check(ok, "attention " + text(dtype) + " heads " + std::to_string(c.heads) + "/" +
                std::to_string(c.kv_heads) + " rows " + std::to_string(c.rows) + " keys " +
                std::to_string(c.keys) + " d " + std::to_string(c.width) +
                (c.mask ? " masked " + std::to_string(c.mask->window) : "") + " " + text(c.values) +
                (c.cancelling ? " cancelling" : ""));
}

void attention_accuracy(mx::Dtype dtype) {
  attention_case({1, 1, 1, 1, 8, std::nullopt}, dtype);
  attention_case({4, 2, 1, 300, 64, std::nullopt}, dtype);
  attention_case({2, 1, 5, 129, 20, std::nullopt, 10.0}, dtype);
  attention_case({4, 1, 3, 200, 64, AttentionMask{.query_offset = 197}}, dtype);
  attention_case({8, 1, 4, 150, 33, AttentionMask{.query_offset = 146, .window = 40}}, dtype);
  attention_case({2, 2, 7, 260, 32, AttentionMask{.query_offset = 1000, .window = 130, .key_offset = 747}},
                 dtype);
  attention_case({2, 1, 150, 150, 16, AttentionMask{.window = 24}}, dtype);
  attention_case({2, 1, 90, 90, 64, AttentionMask{}, 30.0}, dtype);
  attention_case({8, 1, 3, 333, 256, AttentionMask{.query_offset = 330, .window = 200}}, dtype);
  attention_case({5, 1, 7, 140, 96, AttentionMask{.query_offset = 133}, 5.0}, dtype);
  for (const Size values : kSizes) {
    attention_case({2, 1, 3, 200, 20, AttentionMask{.query_offset = 197}, 1.0, values}, dtype);
    attention_case({2, 1, 3, 200, 32, AttentionMask{.query_offset = 197}, 10.0, values}, dtype);
    attention_case({4, 2, 1, 300, 64, AttentionMask{.query_offset = 299, .window = 140}, 30.0, values},
                   dtype);
  }
  // Scores that are all nearly nothing, one that is all, and weights that are all the same.
  for (const double size : {1e-6, dtype == mx::float16 ? 6e3 : 1e15}) {
    attention_case({2, 1, 5, 290, 32, AttentionMask{.query_offset = 285}, size}, dtype);
  }
  for (const int window : {0, 90}) {
    const AttentionMask mask{.query_offset = 295, .window = window};
    for (const int width : {20, 64})
      attention_case({4, 2, 5, 300, width, mask, 1.0, Size::ordinary, true}, dtype);
  }
  // Rows before the first key see nothing and are zero.
  attention_case({2, 1, 6, 10, 16, AttentionMask{.query_offset = 0, .window = 4, .key_offset = 3}}, dtype);
}

void attention_specials(mx::Dtype dtype, int width) {
  // A NaN key or value past what a row sees must not reach it, and one that it sees must.
  std::vector<float> keys(10 * width, 0.5f), values(10 * width, 2.0f);
  keys[8 * width + 3] = kNan;
  values[9 * width + 3] = kNan;
  const mx::array q = normal({1, 1, 4, width}, dtype);
  const auto got = numbers(attention(q, from_values(keys, {1, 1, 10, width}, dtype),
                                     from_values(values, {1, 1, 10, width}, dtype), 1.0f,
                                     AttentionMask{.query_offset = 6}));
  bool ok = true;
  for (int i = 0; i < 2 * width; ++i) ok = ok && got[i] == 2.0;
  for (int i = 2 * width; i < 4 * width; ++i) ok = ok && std::isnan(got[i]);
  check(ok, "attention " + text(dtype) + " NaN is seen where it is visible, and nowhere else, d " +
                std::to_string(width));
}

/** A key of -inf weighs nothing, one of +inf leaves no number, an infinite value is its column's mean. */
void attention_infinities(mx::Dtype dtype, int width) {
  const float infinity = static_cast<float>(kInfinity);
  std::vector<float> keys(10 * width, 0.5f), values(10 * width, 2.0f);
  keys[3 * width + 1] = -infinity;
  for (int i = 0; i < width; ++i) values[3 * width + i] = 1000.0f;
  values[7 * width + 4] = -infinity;
  keys[9 * width] = infinity;
  const auto got = numbers(
      attention(mx::ones({1, 1, 4, width}, dtype), from_values(keys, {1, 1, 10, width}, dtype),
                from_values(values, {1, 1, 10, width}, dtype), 1.0f, AttentionMask{.query_offset = 6}));
  bool ok = true;
  for (int t = 0; t < 4; ++t) {
    for (int i = 0; i < width; ++i) {
      const double want = t == 3 ? kNan : t > 0 && i == 4 ? -kInfinity : 2.0;
      ok = ok && close(got[t * width + i], want, 0, dtype);
    }
  }
  check(ok, "attention " + text(dtype) + " infinities, d " + std::to_string(width));
}

/** Squares that overflow make zeros of a row, as in the reference. Infinity spoils its row alone. */
void norm_specials(mx::Dtype dtype) {
  const float infinity = static_cast<float>(kInfinity);
  const bool half = dtype == mx::float16;
  const mx::array x = from_values({half ? 1.0f : 1e25f, 1, 2, infinity, 1, 2, 1, 1, 1}, {3, 3}, dtype);
  const auto got = numbers(rms_norm(x, std::nullopt, 1e-6f));
  bool ok = std::isnan(got[3]) && got[4] == 0 && got[5] == 0;
  for (int i = 0; i < 3; ++i) ok = ok && (half || got[i] == 0) && std::abs(got[6 + i] - 1) < 0.01;
  check(ok, "rms_norm " + text(dtype) + " specials");
}

void norm_accuracy(mx::Dtype dtype) {
  const std::vector<double> sizes = dtype == mx::float16
                                        ? std::vector<double>{1.0, 1e-4, 200.0, 1e4, 1e-6}
                                        : std::vector<double>{1.0, 1e-4, 200.0, 1e17, 1e-20, 1e-40};
  for (const int n : {1, 15, 64, 256, 777}) {
    for (const double size : sizes) {
      const mx::array x = normal({3, n}, dtype, size), w = normal({n}, dtype);
      const auto xs = numbers(x), ws = numbers(w);
      const auto got = numbers(rms_norm(x, w, 1e-6f)), bare = numbers(rms_norm(x, std::nullopt, 1e-6f));
      const auto wide = numbers(rms_norm(x, mx::astype(w, mx::float32), 1e-6f));
      bool ok = true;
      for (int r = 0; r < 3; ++r) {
        double mean = 0;
        for (int i = 0; i < n; ++i) mean += xs[r * n + i] * xs[r * n + i] / n;
        for (int i = 0; i < n; ++i) {
          const double want = xs[r * n + i] / std::sqrt(mean + static_cast<double>(1e-6f));
          const double bound = (n / 16.0 + 12) * kEpsilon * std::abs(want);
          ok = ok && within("rms_norm", bare[r * n + i], want, bound, dtype);
          ok = ok && within("rms_norm", got[r * n + i], want * ws[i], bound * std::abs(ws[i]), dtype);
          ok = ok && within("rms_norm", wide[r * n + i], want * ws[i], bound * std::abs(ws[i]), dtype);
        }
      }
      check(ok, "rms_norm " + text(dtype) + " n " + std::to_string(n) + " size " + std::to_string(size));
    }
  }
  const auto got = numbers(rms_norm(from_values({1, kNan, 2, 3, 4, 5}, {2, 3}, dtype), std::nullopt, 1e-6f));
  check(std::isnan(got[0]) && std::isnan(got[2]) && !std::isnan(got[3]), "rms_norm " + text(dtype) + " NaN");
}

void gelu_accuracy(mx::Dtype dtype) {
  std::vector<float> gates, ups;
  for (double g = -12; g < 12; g += 0.01) {
    gates.push_back(static_cast<float>(g));
    ups.push_back(static_cast<float>(uniform(-300, 300)) / 100);
  }
  for (const float g : {0.0f, 1e-7f, -1e-7f, 300.0f, -300.0f}) {
    gates.push_back(g);
    ups.push_back(1.0f);
  }
  const bool half = dtype == mx::float16;
  for (const float g : half ? std::vector<float>{6e-8f, 1e-5f, 6e4f}
                            : std::vector<float>{1e-40f, 1e-30f, 1e4f, 1e18f, 3e38f}) {
    for (const float up :
         half ? std::vector<float>{1.0f, 1e-6f, 6e4f} : std::vector<float>{1.0f, 1e-30f, 1e30f}) {
      gates.insert(gates.end(), {g, -g});
      ups.insert(ups.end(), {up, up});
    }
  }
  const int n = static_cast<int>(gates.size());
  const mx::array gate = from_values(gates, {1, n}, dtype), up = from_values(ups, {1, n}, dtype);
  const auto gs = numbers(gate), us = numbers(up), got = numbers(gelu_multiply(gate, up));
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    const double u = 0.79788456080286535588 * (gs[i] + 0.044715 * gs[i] * gs[i] * gs[i]);
    const double gelu = gs[i] / (1 + std::exp(-2 * u));
    // Rounded once before up; the exponent's own rounding counts |2u| times; less than e^-44 of g is none.
    const double bound = ((6 + 8 * std::min(std::abs(u), 22.0)) * kEpsilon + 1.001 * half_spacing(dtype)) *
                             std::abs(gelu * us[i]) +
                         (0x1p-63 * std::abs(gs[i]) + smallest_step(dtype)) * std::abs(us[i]);
    ok = ok && within("gelu_multiply", got[i], gelu * us[i], bound, dtype);
  }
  check(ok, "gelu_multiply " + text(dtype));
  const auto infinity = static_cast<float>(kInfinity);
  const auto special = numbers(gelu_multiply(from_values({kNan, 1, infinity, -infinity}, {4}, dtype),
                                             from_values({1, kNan, 1, 1}, {4}, dtype)));
  check(std::isnan(special[0]) && std::isnan(special[1]) && std::isinf(special[2]) && special[3] == 0,
        "gelu_multiply " + text(dtype) + " specials");
  std::vector<float> negative;
  for (int i = 1; i <= 10000; ++i) negative.push_back(-0.01f * static_cast<float>(i));
  const mx::array far = from_values(negative, {10000}, dtype);
  const auto tails = numbers(gelu_multiply(far, mx::full(far.shape(), 1e-3f, dtype)));
  check(std::all_of(tails.begin(), tails.end(), [](double y) { return y == 0 || std::abs(y) >= 0x1p-126; }),
        "gelu_multiply " + text(dtype) + " makes no subnormal numbers");
}

void softcap_accuracy(mx::Dtype dtype) {
  std::vector<float> values{0.0f, 1e-6f, -1e-6f, 1e-40f, -1e-30f, 1e4f, -1e4f, 6e4f};
  for (double x = -150; x < 150; x += 0.07) values.push_back(static_cast<float>(x));
  if (dtype != mx::float16) values.insert(values.end(), {2e5f, -1e6f, 1e19f, -1e30f, 3e38f});
  const float cap = 30;
  const int n = static_cast<int>(values.size());
  const mx::array x = from_values(values, {n}, dtype);
  const auto xs = numbers(x), got = numbers(softcap(x, cap));
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    const double want = rounded(std::tanh(rounded(xs[i] / cap, dtype)), dtype) * cap;
    // A tanh that is off by a unit in the last place may be rounded to the other neighbour.
    ok = ok &&
         within("softcap", got[i], want, (6 * kEpsilon + 2.01 * half_spacing(dtype)) * std::abs(want), dtype);
  }
  check(ok, "softcap " + text(dtype));
  const auto special = numbers(softcap(
      from_values({kNan, static_cast<float>(kInfinity), -static_cast<float>(kInfinity)}, {3}, dtype), cap));
  check(std::isnan(special[0]) && special[1] == cap && special[2] == -cap,
        "softcap " + text(dtype) + " specials");
  // The same values anywhere in an array of any length have the same bits.
  const std::string all = bits(softcap(x, cap));
  const int begin = uniform(1, 40), end = n - uniform(0, 40);
  const std::size_t size = all.size() / n;
  check(bits(softcap(rows_of(x, 0, begin, end), cap)) == all.substr(begin * size, (end - begin) * size),
        "softcap " + text(dtype) + ": bits of a part");
}

/** Places of largest elements, against looking at one element after the other. */
void argmax_cases(mx::Dtype dtype) {
  for (const int width : {1, 2, 15, 16, 17, 31, 33, 64, 100, 511, 1024, 1500, 5000}) {
    const int rows = uniform(1, 5);
    // Few different values, so that many are equal; some are none, or the lowest.
    std::vector<float> values(static_cast<std::size_t>(rows) * width);
    const int kinds = uniform(1, 40), shift = uniform(-60, 20);
    for (float& value : values) {
      const int kind = uniform(0, 60);
      value = kind == 0   ? kNan
              : kind == 1 ? -static_cast<float>(kInfinity)
                          : static_cast<float>(shift + uniform(0, kinds));
    }
    if (uniform(0, 3) == 0) std::fill(values.begin(), values.begin() + width, kNan);
    std::vector<int> want(rows, 0);
    for (int r = 0; r < rows; ++r) {
      float best = -static_cast<float>(kInfinity);
      bool found = false;
      for (int i = 0; i < width; ++i) {
        const float value = values[r * width + i];
        if (!(found ? value > best : value >= best)) continue;
        best = value, want[r] = i, found = true;
      }
    }
    const mx::array x = from_values(values, {rows, width}, dtype);
    const std::vector<double> got = numbers(kernels::argmax(x));
    check(std::equal(got.begin(), got.end(), want.begin()), "argmax " + text(dtype));
    const mx::array apart = mx::slice(mx::repeat(x, 2, 0), {0, 0}, {2 * rows, width}, {2, 1});
    check(bits(kernels::argmax(apart)) == bits(kernels::argmax(x)),
          "argmax " + text(dtype) + " of rows apart");
    const mx::array tokens = mx::astype(mx::argsort(normal({1, width}, mx::float32), -1), mx::int32);
    const mx::array token = largest_token(rows_of(x, 0, 0, 1), tokens);
    check(token.shape() == mx::Shape{1, 1} && numbers(token)[0] == numbers(tokens)[want[0]],
          "largest_token " + text(dtype));
  }
}

/** Cosines and sines over all positions that a model may have, and none of what is no angle. */
void rope_table_accuracy(mx::Dtype dtype) {
  std::vector<float> frequencies;
  for (int j = 0; j < 37; ++j) frequencies.push_back(static_cast<float>(std::pow(1e4, -j / 37.0)));
  const mx::array f = from_values(frequencies, {37}, mx::float32);
  bool ok = true;
  for (const int position : {0, 1, 1000, 131071, 262143, 1048574}) {
    const auto got = numbers(rope_table(f, position, 1, dtype));
    for (int j = 0; j < 37; ++j) {
      const double angle = static_cast<float>(position) * frequencies[j];
      ok = ok && within("rope_table", got[j], std::cos(angle), kEpsilon * std::abs(std::cos(angle)), dtype);
      ok = ok &&
           within("rope_table", got[37 + j], std::sin(angle), kEpsilon * std::abs(std::sin(angle)), dtype);
    }
  }
  check(ok, "rope_table " + text(dtype));
  const float infinity = static_cast<float>(kInfinity);
  const auto none =
      numbers(rope_table(from_values({1.0f, kNan, infinity, 1e7f}, {4}, mx::float32), 3, 1, dtype));
  check(!std::isnan(none[0]) && std::isnan(none[1]) && std::isnan(none[2]) && std::isnan(none[3]),
        "rope_table " + text(dtype) + " of what is no angle");
}

/** What is no number stays in its pair. */
void rope_specials(mx::Dtype dtype) {
  std::vector<float> values(2 * 40, 1.0f);
  values[3] = kNan;
  values[40 + 25] = static_cast<float>(kInfinity);  // pair 5 of row 1
  const auto got =
      numbers(rotated(from_values(values, {1, 1, 2, 40}, dtype), mx::ones({20}, mx::float32), 7));
  bool ok = true;
  for (int i = 0; i < 80; ++i) {
    const int pair = i % 20;
    ok = ok && std::isfinite(got[i]) == !(i < 40 ? pair == 3 : pair == 5);
  }
  check(ok, "rope " + text(dtype) + " specials");
}

void rope_accuracy(mx::Dtype dtype, Size size) {
  for (const int width : {8, 64, 100, 256}) {
    const int half = width / 2, position = uniform(0, 131072);
    std::vector<float> frequencies(half, 0.0f);
    for (int j = 0; j < half - half / 4; ++j)
      frequencies[j] = static_cast<float>(std::pow(1e4, -2.0 * j / width));
    const mx::array x = sized(size, {1, 2, 3, width}, dtype);
    const auto xs = numbers(x),
               got = numbers(rotated(x, from_values(frequencies, {half}, mx::float32), position));
    bool ok = true;
    for (int row = 0; row < 6; ++row) {
      const double* in = xs.data() + row * width;
      for (int j = 0; j < half; ++j) {
        const float angle = static_cast<float>(position + row % 3) * frequencies[j];
        const double c = rounded(std::cos(static_cast<double>(angle)), dtype);
        const double s = rounded(std::sin(static_cast<double>(angle)), dtype);
        const double low = rounded(in[j] * c, dtype) - rounded(in[j + half] * s, dtype);
        const double high = rounded(in[j + half] * c, dtype) + rounded(in[j] * s, dtype);
        // For float32, sine and cosine may be off by a unit in the last place.
        const double bound =
            dtype == mx::float32 ? 8 * kEpsilon * (std::abs(in[j]) + std::abs(in[j + half])) : 0;
        ok = ok && within("rope", got[row * width + j], low, bound, dtype);
        ok = ok && within("rope", got[row * width + j + half], high, bound, dtype);
      }
    }
    check(ok, "rope " + text(dtype) + " d " + std::to_string(width) + " at " + std::to_string(position) +
                  " " + text(size));
  }
}

void kv_write_cases(mx::Dtype dtype) {
  const mx::array start = normal({1, 2, 9, 8}, dtype), update = normal({1, 2, 3, 8}, dtype);
  const std::string want =
      bits(mx::slice_update(start, update, mx::Shape{0, 0, 4, 0}, mx::Shape{1, 2, 7, 8}));
  mx::array buffer = mx::contiguous(mx::add(start, mx::array(0.0f, dtype)));
  buffer.eval();
  mx::array written = kv_write(buffer, restrided(update), 4);
  check(bits(written) == want, "kv_write " + text(dtype));
  check(written.data<char>() == buffer.data<char>(), "kv_write " + text(dtype) + " is in place");
  const mx::array flat = mx::broadcast_to(mx::array(0.0f, dtype), {1, 2, 9, 8});
  check(
      bits(kv_write(flat, update, 4)) == bits(mx::slice_update(mx::zeros({1, 2, 9, 8}, dtype), update,
                                                               mx::Shape{0, 0, 4, 0}, mx::Shape{1, 2, 7, 8})),
      "kv_write " + text(dtype) + " into a broadcast");
  bool threw = false;
  try {
    kv_write(buffer, update, 7);
  } catch (const std::invalid_argument&) {
    threw = true;
  }
  check(threw, "kv_write past the end throws");
}

}  // namespace

void accuracy_tests() {
  for (const mx::Dtype dtype : kTypes) {
    attention_accuracy(dtype);
    for (const int width : {16, 32, 96}) {
      attention_specials(dtype, width);
      attention_infinities(dtype, width);
    }
    norm_accuracy(dtype);
    norm_specials(dtype);
    gelu_accuracy(dtype);
    softcap_accuracy(dtype);
    argmax_cases(dtype);
    rope_table_accuracy(dtype);
    for (const Size size : kSizes) rope_accuracy(dtype, size);
    rope_specials(dtype);
    kv_write_cases(dtype);
  }
}

}  // namespace mlx_gemma::kernels::test
