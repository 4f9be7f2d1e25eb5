// Packed weights: what each code becomes, sums within a bound, the law, and what is refused.
#include <cmath>
#include <limits>

#include "check.h"
#include "kernels/blocks.h"
#include "kernels/mlx_operations.h"

namespace mlx_gemma::kernels::test {
namespace {

constexpr double kEpsilon = 0x1p-24;

/** Rows of the unit matrix give the weights themselves: each must be the float32 number that MLX decodes. */
void decode_cases(const Packing& p) {
  for (const mx::Dtype dtype : p.mode == QuantizationMode::affine ? kTypes : std::vector{mx::float32}) {
    // Past a block of sums, and not a multiple of it; one group alone.
    for (const int inputs : {512 + 128, p.group_size}) {
      const QuantizedWeight w = packed_normal(p, {50, inputs}, dtype);
      const auto want = numbers(mx::transpose(dequantized(w)));
      const auto got = numbers(quantized_linear(mx::eye(inputs), w));
      bool same = got.size() == want.size();
      for (std::size_t i = 0; same && i < want.size(); ++i) {
        // Scales of float32 times a code round once more in MLX.
        const double bound = w.biases && dtype == mx::float32 ? 300 * kEpsilon : 0.0;
        same = std::abs(got[i] - want[i]) <= bound;
      }
      check(same, "decoded " + text(p) + ", scales " + text(dtype) + ", I " + std::to_string(inputs));
    }
  }
}

/** As in linear: |error| <= (I / 8 + 24) * 2^-24 * Σ|x w|, then one rounding. */
void sums_case(const Packing& p, mx::Dtype dtype, int rows, int outputs, int inputs) {
  const QuantizedWeight w = packed_normal(p, {outputs, inputs}, dtype);
  const mx::array x = normal({rows, inputs}, dtype);
  const auto xs = numbers(x), ws = numbers(dequantized(w)), got = numbers(quantized_linear(x, w));
  const mx::array wide = mx::astype(x, mx::float32);
  QuantizedWeight w32 = w;
  if (w.biases) w32.scales = mx::astype(w.scales, mx::float32);
  if (w.biases) w32.biases = mx::astype(*w.biases, mx::float32);
  const auto theirs = numbers(operations::quantized_linear(wide, w32));
  bool ok = static_cast<int>(got.size()) == rows * outputs, like_mlx = ok;
  for (int r = 0; ok && r < rows; ++r) {
    for (int o = 0; ok && o < outputs; ++o) {
      double sum = 0, size = 0;
      for (int k = 0; k < inputs; ++k) {
        sum += xs[r * inputs + k] * ws[o * inputs + k];
        size += std::abs(xs[r * inputs + k] * ws[o * inputs + k]);
      }
      const double bound = (inputs / 8.0 + 24) * kEpsilon * size;
      ok = close(got[r * outputs + o], sum, bound, dtype);
      // MLX adds up the whole row in one chain.
      like_mlx = like_mlx && close(got[r * outputs + o], theirs[r * outputs + o],
                                   (inputs + 300) * kEpsilon * size, dtype);
    }
  }
  const std::string what = text(p) + " " + text(dtype) + " " + std::to_string(rows) + "x" +
                           std::to_string(outputs) + "x" + std::to_string(inputs);
  check(ok, "quantized_linear " + what);
  check(like_mlx, "quantized_linear beside MLX " + what);
}

/** NaN and infinity stay in the rows and columns they belong to. */
void specials(mx::Dtype dtype) {
  const Packing p{QuantizationMode::affine, 4, 32};
  for (const int rows : {1, 4, 20}) {
    const QuantizedWeight w = packed_normal(p, {6, 64}, dtype);
    std::vector<float> scales(6 * 2, 0.5f), xs(rows * 64, 1.0f);
    scales[2 * 2 + 1] = std::numeric_limits<float>::quiet_NaN();
    if (rows > 1) xs[1 * 64 + 7] = std::numeric_limits<float>::quiet_NaN();
    const QuantizedWeight spoilt{w.weight, from_values(scales, {6, 2}, dtype), w.biases, 32, 4, p.mode};
    const auto got = numbers(quantized_linear(from_values(xs, {rows, 64}, dtype), spoilt));
    bool ok = true;
    for (int i = 0; i < rows * 6; ++i) ok = ok && std::isnan(got[i]) == (i % 6 == 2 || i / 6 == 1);
    check(ok, "quantized_linear " + text(dtype) + " specials, rows " + std::to_string(rows));
  }
}

/** @param paired sums that cancel: what is left shows their order */
bool packed_holds(const Packing& p, mx::Dtype dtype, int rows, int outputs, int inputs, bool paired,
                  const std::function<mx::array(const mx::array&, const QuantizedWeight&)>& f) {
  const QuantizedWeight w = packed_normal(p, {outputs, inputs}, dtype, paired);
  mx::array x = normal({rows, inputs}, dtype, paired ? 30.0 : 1.0);
  if (paired) {
    const mx::array half = rows_of(x, 1, 0, inputs / 2);
    x = mx::contiguous(mx::concatenate({half, half}, 1));
  }
  return block_holds([&](const mx::array& some) { return f(some, w); }, x);
}

void law(const Packing& p, mx::Dtype dtype) {
  const int unit = 2 * p.group_size;
  for (int i = 0; i < 3; ++i) {
    const int rows = some_rows(), inputs = unit * uniform(1, 1400 / unit), outputs = uniform(1, 110);
    check(packed_holds(p, dtype, rows, outputs, inputs, i == 1, quantized_linear),
          "law of quantized_linear " + text(p) + " " + text(dtype) + " " + std::to_string(rows) + "x" +
              std::to_string(outputs) + "x" + std::to_string(inputs));
  }
}

/** @param every scales of any finite size, where the rounding of each step shows */
void rows_of_embedding(const Packing& p, mx::Dtype dtype, mx::Dtype to, bool every) {
  QuantizedWeight w = packed_normal(p, {70, 384}, dtype);
  if (every && w.biases) w.scales = normal(w.scales.shape(), dtype, 1e-4);
  if (every && !w.biases) {
    std::vector<int> codes(w.scales.size());
    // 2^15 is the largest power of two that float16 has: past it infinity times 0 is some NaN.
    const int most = p.mode == QuantizationMode::nvfp4 ? 126 : to == mx::float16 ? 127 + 15 : 254;
    for (int& code : codes) code = uniform(0, most);
    w.scales = mx::array(codes.begin(), w.scales.shape(), mx::uint8);
  }
  const mx::array ids({3, 0, 69, 3, 41, 12}, {1, 2, 3}, mx::int32);
  const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  const mx::array all = mx::dequantize(w.weight, w.scales, w.biases, p.group_size, p.bits,
                                       names[static_cast<int>(p.mode)], std::nullopt, to);
  const std::string what = text(p) + " scales " + text(dtype) + " to " + text(to);
  const mx::array factor = normal({1}, to);
  check(bits(embedding(w, ids, factor)) == bits(mx::multiply(mx::take(all, ids, 0), factor)),
        "embedding " + what);
  // One row of one group: what MLX cannot in nvfp4.
  const auto cut = [&](const mx::array& a, int width) { return mx::slice(a, {5, 0}, {6, width}); };
  std::optional<mx::array> biases;
  if (w.biases) biases = cut(*w.biases, 1);
  const QuantizedWeight one{
      cut(w.weight, p.group_size * p.bits / 32), cut(w.scales, 1), biases, p.group_size, p.bits, p.mode};
  check(bits(embedding(one, mx::array({0}, {1}, mx::uint32), factor)) ==
            bits(mx::multiply(mx::slice(all, {5, 0}, {6, p.group_size}), factor)),
        "embedding, one group, " + what);
}

void refusals() {
  const auto refused = [](const std::string& what, const std::function<void()>& f) {
    bool threw = false;
    try {
      f();
    } catch (const std::invalid_argument&) {
      threw = true;
    }
    check(threw, "refused: " + what);
  };
  const QuantizedWeight w = packed_normal({QuantizationMode::affine, 4, 64}, {8, 128}, mx::float32);
  const mx::array x = normal({2, 128}, mx::float32);
  const auto with = [&](const std::function<void(QuantizedWeight&)>& change) {
    QuantizedWeight other = w;
    change(other);
    return [=] { quantized_linear(x, other); };
  };
  refused("7 bits", with([](QuantizedWeight& o) { o.bits = 7; }));
  refused("groups of 16", with([](QuantizedWeight& o) { o.group_size = 16; }));
  refused("scales of another group size", with([](QuantizedWeight& o) { o.group_size = 32; }));
  refused("no biases", with([](QuantizedWeight& o) { o.biases.reset(); }));
  refused("float scales of mxfp4", with([](QuantizedWeight& o) {
            o.mode = QuantizationMode::mxfp4;
            o.group_size = 32;
          }));
  refused("signed codes", with([](QuantizedWeight& o) { o.weight = mx::astype(o.weight, mx::int32); }));
  refused("x of another width", [&] { quantized_linear(normal({2, 64}, mx::float32), w); });
  refused("a stack", [&] {
    quantized_linear(x, packed_normal({QuantizationMode::affine, 4, 64}, {3, 8, 128}, mx::float32));
  });
  check(quantization_mode("nvfp4") == QuantizationMode::nvfp4 && !quantization_mode("int8"),
        "names of modes");
}

/** A kernel whose order depends on the number of rows: the property has to see it. */
void negative_control(mx::Dtype dtype) {
  const auto split = [](const mx::array& x, const QuantizedWeight& w) {
    const mx::array wide = dequantized(w);
    const int inputs = wide.shape(1), last = static_cast<int>(x.ndim()) - 1;
    if (static_cast<int>(x.size()) == inputs) return quantized_linear(x, w);
    const mx::array a = mx::astype(x, mx::float32);
    return mx::astype(mx::add(linear(rows_of(a, last, 0, 300), rows_of(wide, 1, 0, 300)),
                              linear(rows_of(a, last, 300, inputs), rows_of(wide, 1, 300, inputs))),
                      x.dtype());
  };
  check(!packed_holds({QuantizationMode::affine, 4, 64}, dtype, 12, 100, 1024, true, split),
        "negative control of quantized_linear " + text(dtype));
}

}  // namespace

void quantized_tests() {
  for (const Packing& p : packings()) {
    decode_cases(p);
    for (const mx::Dtype dtype : kTypes) {
      for (const mx::Dtype to : kTypes) {
        rows_of_embedding(p, dtype, to, false);
        rows_of_embedding(p, dtype, to, true);
      }
    }
    for (const mx::Dtype dtype : kTypes) {
      sums_case(p, dtype, 1, 8, p.group_size);
      sums_case(p, dtype, 3, 50, 5 * p.group_size);
      sums_case(p, dtype, 17, 13, 640);
      sums_case(p, dtype, 6, 6, 1152);
      law(p, dtype);
    }
  }
  for (const mx::Dtype dtype : kTypes) {
    specials(dtype);
    negative_control(dtype);
    // Work enough for several threads.
    for (const int rows : {9, 40}) {
      check(packed_holds({QuantizationMode::affine, 4, 64}, dtype, rows, 2000, 512, true, quantized_linear),
            "law of quantized_linear " + text(dtype) + " with threads");
    }
  }
  refusals();
  set_threads(0);
}

}  // namespace mlx_gemma::kernels::test
