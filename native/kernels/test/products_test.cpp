// Products and sums against float64 on hostile input: large, tiny, subnormal, mixed and cancelling values,
// NaN and infinity.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "kernels/centroid.h"

namespace mlx_gemma::kernels::test {
namespace {

constexpr double kEpsilon = 0x1p-24;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/** What a sum should be, and how far it may be off before the last rounding. */
struct Sum {
  double value = 0, bound = 0;
};

/** Weights, and the sizes that errors are measured by: a packed weight's before its bias takes from it. */
struct Weights {
  std::vector<double> values, sizes;

  explicit Weights(std::vector<double> all) : values(std::move(all)), sizes(values) {
    for (double& size : sizes) size = std::abs(size);
  }
};

/**
 * |error| <= (I / 8 + 24) * 2^-24 * Σ|x| size(w): eight chains are the longest there are. Where steps are
 * subnormal each may be off by half of the smallest one; or be nothing, where that is so.
 */
Sum dot(const double* x, const double* w, const double* sizes, int inputs, bool flushes) {
  Sum sum;
  double size = 0, sizes_of_x = 0, lost = 0;
  for (int k = 0; k < inputs; ++k) {
    sum.value += x[k] * w[k];
    size += std::abs(x[k]) * sizes[k];
    sizes_of_x += std::abs(x[k]);
    const bool subnormal = std::abs(x[k]) < kSmallestNormal || sizes[k] < kSmallestNormal;
    lost += (subnormal ? std::abs(x[k]) * sizes[k] : 0) + kSmallestNormal * std::max(1.0, sizes[k]);
  }
  sum.bound = (inputs / 8.0 + 24) * kEpsilon * size + (inputs + sizes_of_x) * 0x1p-149 + (flushes ? lost : 0);
  return sum;
}

/** `rows` of x times each row of w from `first`, as found in `got`. */
bool products_within(const std::string& kernel, const double* got, const double* x, const Weights& w,
                     std::ptrdiff_t first, int rows, int outputs, int inputs, mx::Dtype dtype) {
  bool ok = true;
  for (int r = 0; r < rows; ++r) {
    for (int o = 0; o < outputs; ++o) {
      const std::ptrdiff_t at = (first + o) * inputs;
      const Sum want = dot(x + r * inputs, w.values.data() + at, w.sizes.data() + at, inputs, flushes(dtype));
      ok = ok && within(kernel, got[r * outputs + o], want.value, want.bound, dtype);
    }
  }
  return ok;
}

double e2m1(int code) {
  constexpr double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return (code & 8 ? -1 : 1) * values[code & 7];
}

double e4m3(int code) {
  const int exponent = code >> 3 & 15, fraction = code & 7;
  const double size = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
  return code & 128 ? -size : size;
}

/** The weights in float64, from the table in kernels.h and nothing else. */
Weights meaning(const QuantizedWeight& w) {
  mx::array words = mx::contiguous(w.weight);
  words.eval();
  const std::uint32_t* at = words.data<std::uint32_t>();
  const auto scales = numbers(w.scales), biases = w.biases ? numbers(*w.biases) : std::vector<double>{};
  std::vector<double> out(words.size() * 32 / w.bits);
  for (std::size_t i = 0; i < out.size(); ++i) {
    int code = 0;  // rows are whole words, so bits count from the very beginning
    for (int b = 0; b < w.bits; ++b) {
      const std::size_t bit = i * w.bits + b;
      code |= static_cast<int>(at[bit / 32] >> bit % 32 & 1u) << b;
    }
    const std::size_t group = i / w.group_size;
    switch (w.mode) {
      case QuantizationMode::affine:
        out[i] = scales[group] * code + biases[group];
        break;
      case QuantizationMode::mxfp4:
        out[i] = std::ldexp(e2m1(code), static_cast<int>(scales[group]) - 127);
        break;
      case QuantizationMode::mxfp8:
        out[i] = std::ldexp(e4m3(code), static_cast<int>(scales[group]) - 127);
        break;
      case QuantizationMode::nvfp4:
        out[i] = e2m1(code) * e4m3(static_cast<int>(scales[group]));
        break;
    }
  }
  Weights all(std::move(out));
  for (std::size_t i = 0; !biases.empty() && i < all.values.size(); ++i) {
    const double bias = biases[i / w.group_size];
    all.sizes[i] = std::abs(all.values[i] - bias) + std::abs(bias);
  }
  return all;
}

/** Random codes, scales of that size. Cancelling: biases that leave little of a weight, as real ones do. */
QuantizedWeight packed_sized(const Packing& p, Size size, bool cancelling, mx::Shape shape, mx::Dtype dtype) {
  QuantizedWeight w = packed_normal(p, shape, dtype);
  if (w.biases) {
    w.scales = mx::multiply(sized(size, w.scales.shape(), dtype),
                            mx::array(size == Size::large ? 0.01f : 1.0f, dtype));
    const mx::array most(dtype == mx::float16 ? 6e4f : 3e38f, dtype);  // no infinite biases
    const mx::array middle = mx::multiply(w.scales, mx::array(-std::exp2(p.bits - 1.0f), dtype));
    w.biases = cancelling ? mx::clip(middle, mx::negative(most), most) : sized(size, w.scales.shape(), dtype);
    mx::eval({w.scales, *w.biases});
    return w;
  }
  const bool nv = p.mode == QuantizationMode::nvfp4;
  const auto code = [&] {
    switch (size) {
      case Size::large:
        return nv ? uniform(118, 126) : dtype == mx::float16 ? uniform(127, 132) : uniform(150, 170);
      case Size::tiny:
        return nv ? uniform(8, 16) : uniform(60, 80);
      case Size::subnormal:
        return nv ? uniform(0, 7) : uniform(0, 10);
      default:
        return nv ? uniform(0, 100) : uniform(115, 135);
    }
  };
  std::vector<std::uint8_t> codes(w.scales.size());
  for (std::uint8_t& one : codes) one = static_cast<std::uint8_t>(code());
  w.scales = mx::array(codes.begin(), w.scales.shape(), mx::uint8);
  return w;
}

void floats(mx::Dtype dtype) {
  // Few rows, many rows, several blocks of sums, partial vectors.
  const int shapes[][3] = {{1, 1, 1},    {1, 3, 16},    {2, 5, 17},     {3, 7, 100},
                           {4, 64, 256}, {5, 9, 1023},  {8, 31, 64},    {9, 50, 1025},
                           {17, 97, 40}, {33, 49, 300}, {130, 10, 2100}};
  for (const auto& [rows, outputs, inputs] : shapes) {
    const std::string what = text(dtype) + " " + std::to_string(rows) + "x" + std::to_string(outputs) + "x" +
                             std::to_string(inputs) + " ";
    for (const Size of_x : kSizes) {
      for (const Size of_w : kSizes) {
        const mx::array x = sized(of_x, {rows, inputs}, dtype), w = sized(of_w, {outputs, inputs}, dtype);
        const auto xs = numbers(x), got = numbers(linear(x, w));
        const Weights ws(numbers(w));
        check(products_within("linear", got.data(), xs.data(), ws, 0, rows, outputs, inputs, dtype),
              "linear " + what + text(of_x) + " x, " + text(of_w) + " weights");
      }
    }
    for (const Size size : {Size::ordinary, Size::large, Size::mixed}) {
      const mx::array x = doubled(sized(size, {rows, inputs}, dtype), false);
      const mx::array w = doubled(normal({outputs, inputs}, dtype), true);
      const auto xs = numbers(x), got = numbers(linear(x, w));
      const Weights ws(numbers(w));
      check(products_within("linear", got.data(), xs.data(), ws, 0, rows, outputs, 2 * inputs, dtype),
            "linear " + what + "cancelling " + text(size));
    }
  }
}

void packed(const Packing& p, mx::Dtype dtype) {
  for (const int rows : {1, 2, 3, 4, 6, 20}) {
    const int outputs = uniform(3, 20), inputs = p.group_size * uniform(1, 1200 / p.group_size);
    for (const Size of_x : kSizes) {
      const Size of_w = some_size();
      const bool cancelling = uniform(0, 1) == 0;
      const QuantizedWeight w = packed_sized(p, of_w, cancelling, {outputs, inputs}, dtype);
      const mx::array x = sized(of_x, {rows, inputs}, dtype);
      const auto xs = numbers(x), got = numbers(quantized_linear(x, w));
      const Weights ws = meaning(w);
      check(products_within("quantized_linear", got.data(), xs.data(), ws, 0, rows, outputs, inputs, dtype),
            "quantized_linear " + text(p) + " " + text(dtype) + " rows " + std::to_string(rows) + " I " +
                std::to_string(inputs) + " " + text(of_x) + " x, " + text(of_w) + " scales");
    }
    // Weights that come back with the other sign.
    const int half = p.group_size * uniform(1, 600 / p.group_size);
    const QuantizedWeight w = packed_normal(p, {outputs, 2 * half}, dtype, true);
    const mx::array x = doubled(sized(some_size(), {rows, half}, dtype), false);
    const auto xs = numbers(x), got = numbers(quantized_linear(x, w));
    const Weights ws = meaning(w);
    check(
        products_within("quantized_linear", got.data(), xs.data(), ws, 0, rows, outputs, 2 * half, dtype),
        "quantized_linear " + text(p) + " " + text(dtype) + " rows " + std::to_string(rows) + " cancelling");
  }
}

/** Rows (t, j) of experts_linear against the matrix of expert indices[t, j], all of them in `weights`. */
void experts_within(const std::string& what, const mx::array& x, const mx::array& indices,
                    const Weights& weights, const mx::array& out) {
  const int k = indices.shape(1), inputs = x.shape(2), outputs = out.shape(2);
  const auto xs = numbers(x), got = numbers(out), chosen = numbers(indices);
  bool ok = true;
  for (int i = 0; i < static_cast<int>(indices.size()); ++i) {
    const int row = x.shape(1) == 1 ? i / k : i;
    ok = ok &&
         products_within("experts_linear", got.data() + i * outputs, xs.data() + row * inputs, weights,
                         static_cast<std::ptrdiff_t>(chosen[i]) * outputs, 1, outputs, inputs, x.dtype());
  }
  check(ok, "experts_linear " + what);
}

void experts(mx::Dtype dtype) {
  const int count = 5, outputs = 9, inputs = 384;
  for (const int tokens : {1, 4, 30}) {
    for (const Size size : kSizes) {
      std::vector<std::int32_t> chosen(tokens * 2);
      for (std::int32_t& index : chosen) index = uniform(0, count - 1);
      const mx::array indices(chosen.begin(), {tokens, 2}, mx::int32);
      const mx::array x = sized(size, {tokens, uniform(1, 2), inputs}, dtype);
      const std::string what = text(dtype) + " tokens " + std::to_string(tokens) + " " + text(size);
      const mx::array w = sized(some_size(), {count, outputs, inputs}, dtype);
      experts_within(what, x, indices, Weights(numbers(w)), experts_linear(x, w, indices));
      const Packing& p = packings()[uniform(0, static_cast<int>(packings().size()) - 1)];
      const QuantizedWeight stack = packed_sized(p, some_size(), true, {count, outputs, inputs}, dtype);
      experts_within(what + " " + text(p), x, indices, meaning(stack), experts_linear(x, stack, indices));
    }
  }
  // A token whose values are no numbers spoils its own rows alone, whoever shares its experts.
  std::vector<float> values(3 * 64, 1.0f);
  values[64 + 5] = kNan;
  const mx::array same = mx::zeros({3, 2}, mx::int32);
  const auto got =
      numbers(experts_linear(from_values(values, {3, 1, 64}, dtype), normal({2, 8, 64}, dtype), same));
  bool ok = true;
  for (int i = 0; i < 3 * 2 * 8; ++i) ok = ok && std::isnan(got[i]) == (i / 16 == 1);
  check(ok, "experts_linear " + text(dtype) + " NaN");
}

/** NaN and infinity stay in the rows and columns they belong to. */
void specials(mx::Dtype dtype) {
  for (const int rows : {1, 4, 20}) {
    std::vector<float> xs(rows * 40, 1.0f), ws(6 * 40, 1.0f);
    ws[2 * 40 + 39] = kNan;
    ws[3 * 40 + 1] = kInfinity;
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

/** Infinity has a sign; times zero, or less infinity, it is no number. Other rows and columns are as ever. */
void infinities(mx::Dtype dtype) {
  for (const int rows : {1, 3, 6, 20}) {
    std::vector<float> xs(rows * 40, 1.0f), ws(5 * 40, 1.0f);
    xs[0] = kInfinity;
    ws[0] = -1.0f;                // output 0: -inf
    ws[40] = 0.0f;                // output 1: inf * 0
    ws[80] = kInfinity;           // output 2: +inf, in every row
    ws[3 * 40 + 1] = -kInfinity;  // output 3: inf - inf in row 0, -inf elsewhere
    const auto got = numbers(linear(from_values(xs, {rows, 40}, dtype), from_values(ws, {5, 40}, dtype)));
    bool ok = true;
    for (int r = 0; r < rows; ++r) {
      const double first[] = {-kInfinity, kNan, kInfinity, kNan, kInfinity};
      const double other[] = {38, 39, kInfinity, -kInfinity, 40};
      for (int o = 0; o < 5; ++o) ok = ok && close(got[r * 5 + o], r == 0 ? first[o] : other[o], 0, dtype);
    }
    check(ok, "linear " + text(dtype) + " infinities, rows " + std::to_string(rows));
  }
}

/** A product that is left out shows. */
void negative_control() {
  const mx::array x = normal({3, 40}, mx::bfloat16), w = normal({20, 40}, mx::bfloat16);
  const auto xs = numbers(x);
  const Weights ws(numbers(w));
  const auto got = numbers(linear(rows_of(x, 1, 1, 40), rows_of(w, 1, 1, 40)));
  check(!products_within("linear", got.data(), xs.data(), ws, 0, 3, 20, 40, mx::bfloat16),
        "negative control of the bound");
}

/** No cluster is passed over that scores more than one of the chosen by more than both may be off. */
void centroids(mx::Dtype dtype) {
  const int clusters = 60, size = 4, hidden = 96, k = 7;
  for (const Size of_h : kSizes) {
    const Size of_w = some_size();
    const mx::array h = sized(of_h, {1, 1, hidden}, dtype),
                    table = sized(of_w, {clusters * size, hidden}, dtype);
    const mx::array centroids = sized(of_w, {clusters, hidden}, dtype);
    const mx::array chosen = top_clusters(h, centroids, k);
    const auto hs = numbers(h), picked = numbers(chosen);
    const Weights cs(numbers(centroids)), ts(numbers(table));
    // Scores are compared once they are rounded, to infinity where float16 ends.
    const double most = dtype == mx::float16 ? 65504 : std::numeric_limits<float>::max();
    const auto limits = [&](int cluster) {
      const int at = cluster * hidden;
      const Sum sum = dot(hs.data(), cs.values.data() + at, cs.sizes.data() + at, hidden, flushes(dtype));
      const double off =
          sum.bound + 1.001 * half_spacing(dtype) * (std::abs(sum.value) + sum.bound) + smallest_step(dtype);
      return std::pair{std::clamp(sum.value - off, -most, most), std::clamp(sum.value + off, -most, most)};
    };
    double least = std::numeric_limits<double>::infinity();
    for (const double cluster : picked) least = std::min(least, limits(static_cast<int>(cluster)).second);
    bool ok = true;
    for (int c = 0; c < clusters; ++c) {
      const bool taken = std::find(picked.begin(), picked.end(), c) != picked.end();
      ok = ok && (taken || limits(c).first <= least);
    }
    const std::string what = text(dtype) + " " + text(of_h) + " h, " + text(of_w) + " weights";
    check(ok, "top_clusters " + what);
    const mx::array ordering = mx::arange(clusters * size, mx::int32);
    const auto [logits, tokens] = cluster_scores(h, centroids, k, table, ordering);
    const auto got = numbers(logits);
    bool scored = true;
    for (int i = 0; i < k; ++i) {
      scored = scored && products_within("cluster_scores", got.data() + i * size, hs.data(), ts,
                                         static_cast<int>(picked[i]) * size, 1, size, hidden, dtype);
    }
    check(scored, "cluster_scores " + what);
  }
  // A centroid that is no number is never chosen before one that is.
  std::vector<float> values(6 * 32, -1.0f);
  values[3] = kNan;
  values[32 + 3] = -kInfinity;
  const auto picked = numbers(top_clusters(from_values(std::vector<float>(32, 1.0f), {1, 1, 32}, dtype),
                                           from_values(values, {6, 32}, dtype), 4));
  check(picked == std::vector<double>{2, 3, 4, 5}, "top_clusters " + text(dtype) + " NaN");
}

}  // namespace

void products_tests() {
  for (const mx::Dtype dtype : kTypes) {
    floats(dtype);
    specials(dtype);
    infinities(dtype);
    for (const Packing& p : packings()) packed(p, dtype);
    experts(dtype);
    centroids(dtype);
  }
  negative_control();
}

}  // namespace mlx_gemma::kernels::test
