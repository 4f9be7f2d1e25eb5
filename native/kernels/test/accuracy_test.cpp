// Each kernel against its definition in float64, within a stated bound, on normal and on hostile input.
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

/** |error| <= (I / 8 + 24) * 2^-24 * Σ|x w|, then one rounding: eight chains are the longest there are. */
void linear_case(const mx::array& x, const mx::array& w, const std::string& what) {
  const int outputs = w.shape(0), inputs = w.shape(1), rows = static_cast<int>(x.size()) / inputs;
  const auto xs = numbers(x), ws = numbers(w), got = numbers(linear(x, w));
  bool ok = static_cast<int>(got.size()) == rows * outputs;
  for (int r = 0; ok && r < rows; ++r) {
    for (int o = 0; ok && o < outputs; ++o) {
      double sum = 0, size = 0;
      for (int k = 0; k < inputs; ++k) {
        sum += xs[r * inputs + k] * ws[o * inputs + k];
        size += std::abs(xs[r * inputs + k] * ws[o * inputs + k]);
      }
      const double bound = (inputs / 8.0 + 24) * kEpsilon * size + inputs * 0x1p-149;
      ok = close(got[r * outputs + o], sum, bound, x.dtype());
    }
  }
  check(ok, "linear " + what);
}

void linear_accuracy(mx::Dtype dtype) {
  const int shapes[][3] = {{1, 1, 1},    {1, 3, 16},    {2, 5, 17},     {3, 7, 100},
                           {4, 64, 256}, {5, 9, 1023},  {8, 31, 64},    {9, 50, 1025},
                           {17, 97, 40}, {33, 49, 300}, {130, 10, 2100}};
  for (const auto& s : shapes) {
    const std::string what =
        text(dtype) + " " + std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" + std::to_string(s[2]);
    linear_case(normal({s[0], s[2]}, dtype), normal({s[1], s[2]}, dtype), what);
    const bool small = dtype == mx::float16;
    linear_case(normal({s[0], s[2]}, dtype, small ? 200 : 1e15),
                normal({s[1], s[2]}, dtype, small ? 200 : 1e15), what + " large");
    linear_case(normal({s[0], s[2]}, dtype, small ? 1e-3 : 1e-18),
                normal({s[1], s[2]}, dtype, small ? 1e-3 : 1e-18), what + " tiny");
  }
  // Sums that cancel: x, -x alternating times one weight, and a small rest.
  std::vector<float> alternating(600), same(600, 3.0f);
  for (int i = 0; i < 600; ++i)
    alternating[i] = (i % 2 == 0 ? 1.0f : -1.0f) * 1000.0f + (i == 599 ? 1.0f : 0.0f);
  linear_case(from_values(alternating, {1, 600}, dtype), from_values(same, {1, 600}, dtype),
              text(dtype) + " cancelling");
}

/** NaN and infinity stay in the rows and columns they belong to. */
void linear_specials(mx::Dtype dtype) {
  for (const int rows : {1, 4, 20}) {
    std::vector<float> xs(rows * 40, 1.0f), ws(6 * 40, 1.0f);
    ws[2 * 40 + 39] = kNan;
    ws[3 * 40 + 1] = static_cast<float>(kInfinity);
    if (rows > 1) xs[1 * 40 + 7] = kNan;
    const auto got = numbers(linear(from_values(xs, {rows, 40}, dtype), from_values(ws, {6, 40}, dtype)));
    bool ok = true;
    for (int r = 0; r < rows; ++r) {
      for (int o = 0; o < 6; ++o) {
        const double want = o == 2 || r == 1 ? kNan : o == 3 ? kInfinity : 40.0;
        ok = ok && close(got[r * 6 + o], want, 0, dtype);
      }
    }
    check(ok, "linear " + text(dtype) + " specials, rows " + std::to_string(rows));
  }
}

struct AttentionCase {
  int heads, kv_heads, rows, keys, width;
  std::optional<AttentionMask> mask;
  double size = 1.0;
};

void attention_case(const AttentionCase& c, mx::Dtype dtype) {
  const mx::array q = normal({1, c.heads, c.rows, c.width}, dtype, c.size);
  const mx::array k = normal({1, c.kv_heads, c.keys, c.width}, dtype);
  const mx::array v = normal({1, c.kv_heads, c.keys, c.width}, dtype, c.size);
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
      double sum = 0;
      std::vector<double> want(c.width, 0.0), weight(c.width, 0.0);
      for (int s = 0; s < c.keys; ++s) {
        const double e = score[s] == -kInfinity ? 0.0 : std::exp(score[s] - most);
        sum += e;
        for (int i = 0; i < c.width; ++i) {
          want[i] += e * vs[(g * c.keys + s) * c.width + i];
          weight[i] += e * std::abs(vs[(g * c.keys + s) * c.width + i]);
        }
      }
      // The scores' own error (as in linear) is a relative error of every exp; then come chains over the
      // keys.
      const double relative =
          (2 * (c.width / 8.0 + 24) * size + std::min(c.keys, 128) + c.keys / 64.0 + 30) * kEpsilon;
      for (int i = 0; i < c.width; ++i) {
        const double expected = sum > 0 ? want[i] / sum : 0.0;
        const double bound = sum > 0 ? 2 * relative * weight[i] / sum : 0.0;
        ok = ok && close(got[(h * c.rows + t) * c.width + i], expected, bound, dtype);
      }
    }
  }
  check(ok, "attention " + text(dtype) + " heads " + std::to_string(c.heads) + "/" +
                std::to_string(c.kv_heads) + " rows " + std::to_string(c.rows) + " keys " +
                std::to_string(c.keys) + " d " + std::to_string(c.width) +
                (c.mask ? " masked " + std::to_string(c.mask->window) : ""));
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
  // Rows before the first key see nothing and are zero.
  attention_case({2, 1, 6, 10, 16, AttentionMask{.query_offset = 0, .window = 4, .key_offset = 3}}, dtype);
}

void attention_specials(mx::Dtype dtype) {
  // A NaN key or value past what a row sees must not reach it, and one that it sees must.
  std::vector<float> keys(10 * 16, 0.5f), values(10 * 16, 2.0f);
  keys[8 * 16 + 3] = kNan;
  values[9 * 16 + 3] = kNan;
  const mx::array q = normal({1, 1, 4, 16}, dtype);
  const auto got =
      numbers(attention(q, from_values(keys, {1, 1, 10, 16}, dtype),
                        from_values(values, {1, 1, 10, 16}, dtype), 1.0f, AttentionMask{.query_offset = 6}));
  bool ok = true;
  for (int i = 0; i < 2 * 16; ++i) ok = ok && got[i] == 2.0;
  for (int i = 2 * 16; i < 4 * 16; ++i) ok = ok && std::isnan(got[i]);
  check(ok, "attention " + text(dtype) + " NaN is seen where it is visible, and nowhere else");
}

void norm_accuracy(mx::Dtype dtype) {
  for (const int n : {1, 15, 64, 256, 777}) {
    for (const double size : {1.0, 1e-4, 200.0}) {
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
          ok = ok && close(bare[r * n + i], want, bound, dtype);
          ok = ok && close(got[r * n + i], want * ws[i], bound * std::abs(ws[i]), dtype);
          ok = ok && close(wide[r * n + i], want * ws[i], bound * std::abs(ws[i]), dtype);
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
  const int n = static_cast<int>(gates.size());
  const mx::array gate = from_values(gates, {1, n}, dtype), up = from_values(ups, {1, n}, dtype);
  const auto gs = numbers(gate), us = numbers(up), got = numbers(gelu_multiply(gate, up));
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    const double u = 0.79788456080286535588 * (gs[i] + 0.044715 * gs[i] * gs[i] * gs[i]);
    const double gelu = gs[i] / (1 + std::exp(-2 * u));
    // Rounded once before up; the exponent's own rounding counts |2u| times; e^-88 is as far as it goes.
    const double bound =
        ((6 + 8 * std::abs(u)) * kEpsilon + 1.001 * half_spacing(dtype)) * std::abs(gelu * us[i]) +
        (1e-30 + smallest_step(dtype)) * std::abs(us[i]);
    ok = ok && close(got[i], gelu * us[i], bound, dtype);
  }
  check(ok, "gelu_multiply " + text(dtype));
  const auto special =
      numbers(gelu_multiply(from_values({kNan, 1, static_cast<float>(kInfinity)}, {3}, dtype),
                            from_values({1, kNan, 1}, {3}, dtype)));
  check(std::isnan(special[0]) && std::isnan(special[1]) && std::isinf(special[2]),
        "gelu_multiply " + text(dtype) + " specials");
}

void softcap_accuracy(mx::Dtype dtype) {
  std::vector<float> values{0.0f, 1e-6f, -1e-6f, 1e4f, -1e4f};
  for (double x = -150; x < 150; x += 0.07) values.push_back(static_cast<float>(x));
  const float cap = 30;
  const int n = static_cast<int>(values.size());
  const mx::array x = from_values(values, {n}, dtype);
  const auto xs = numbers(x), got = numbers(softcap(x, cap));
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    const double want = rounded(std::tanh(rounded(xs[i] / cap, dtype)), dtype) * cap;
    // A tanh that is off by a unit in the last place may be rounded to the other neighbour.
    ok = ok && close(got[i], want, (6 * kEpsilon + 2.01 * half_spacing(dtype)) * std::abs(want), dtype);
  }
  check(ok, "softcap " + text(dtype));
  const auto special = numbers(softcap(
      from_values({kNan, static_cast<float>(kInfinity), -static_cast<float>(kInfinity)}, {3}, dtype), cap));
  check(std::isnan(special[0]), "softcap " + text(dtype) + " NaN");
  // The same values anywhere in an array of any length have the same bits.
  const std::string all = bits(softcap(x, cap));
  const int begin = uniform(1, 40), end = n - uniform(0, 40);
  const std::size_t size = all.size() / n;
  check(bits(softcap(rows_of(x, 0, begin, end), cap)) == all.substr(begin * size, (end - begin) * size),
        "softcap " + text(dtype) + ": bits of a part");
}

void rope_accuracy(mx::Dtype dtype) {
  for (const int width : {8, 64, 100, 256}) {
    const int half = width / 2, position = uniform(0, 131072);
    std::vector<float> frequencies(half, 0.0f);
    for (int j = 0; j < half - half / 4; ++j)
      frequencies[j] = static_cast<float>(std::pow(1e4, -2.0 * j / width));
    const mx::array x = normal({1, 2, 3, width}, dtype);
    const auto xs = numbers(x),
               got = numbers(rope(x, from_values(frequencies, {half}, mx::float32), position));
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
        ok = ok && close(got[row * width + j], low, bound, dtype);
        ok = ok && close(got[row * width + j + half], high, bound, dtype);
      }
    }
    check(ok, "rope " + text(dtype) + " d " + std::to_string(width) + " at " + std::to_string(position));
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
    linear_accuracy(dtype);
    linear_specials(dtype);
    attention_accuracy(dtype);
    attention_specials(dtype);
    norm_accuracy(dtype);
    gelu_accuracy(dtype);
    softcap_accuracy(dtype);
    rope_accuracy(dtype);
    kv_write_cases(dtype);
  }
}

}  // namespace mlx_gemma::kernels::test
