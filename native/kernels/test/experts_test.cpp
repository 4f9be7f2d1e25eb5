// Experts: a row's bits are those of linear() with its expert's matrix, whatever else was routed where.
#include <cmath>

#include "check.h"
#include "kernels/mlx_operations.h"

namespace mlx_gemma::kernels::test {
namespace {

/** Indices (T, k): at random, all of one expert, or few experts with many rows. */
mx::array routed(int tokens, int k, int experts) {
  const int kind = uniform(0, 3), most = kind == 0 ? 0 : kind == 1 ? std::min(2, experts) - 1 : experts - 1;
  std::vector<std::int32_t> chosen(tokens * k);
  for (std::int32_t& index : chosen) index = uniform(0, most);
  return mx::array(chosen.begin(), {tokens, k}, uniform(0, 1) == 0 ? mx::int32 : mx::uint32);
}

using ExpertsFn = std::function<mx::array(const mx::array& x, const mx::array& indices)>;
/** x (1, I) times the matrix of one expert. */
using AloneFn = std::function<mx::array(const mx::array& x, int expert)>;

/** @param x (T, k or 1, I) */
bool experts_hold(const ExpertsFn& f, const AloneFn& alone, const mx::array& x, const mx::array& indices) {
  const int tokens = indices.shape(0), k = indices.shape(1);
  const auto chosen = numbers(indices);
  set_threads(1);
  std::vector<std::string> want;
  for (int t = 0; t < tokens; ++t) {
    for (int j = 0; j < k; ++j) {
      const int row = x.shape(1) == 1 ? 0 : j;
      const mx::array one = mx::squeeze(rows_of(rows_of(x, 0, t, t + 1), 1, row, row + 1), 0);
      want.push_back(bits(alone(one, static_cast<int>(chosen[t * k + j]))));
    }
  }
  bool same = true;
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    set_threads(threads);
    const std::string all = bits(f(x, indices)), strided = bits(f(restrided(x), restrided(indices)));
    // The same as a batch of one, as the models have it.
    const std::string batch = bits(f(mx::expand_dims(x, 0), mx::expand_dims(indices, 0)));
    const int begin = uniform(0, tokens - 1), end = uniform(begin + 1, tokens);
    const std::string part = bits(f(rows_of(x, 0, begin, end), rows_of(indices, 0, begin, end)));
    for (int i = 0; i < tokens * k; ++i) {
      same = same && row_bits(all, i, tokens * k) == want[i] && row_bits(strided, i, tokens * k) == want[i];
      same = same && row_bits(batch, i, tokens * k) == want[i];
      if (i >= begin * k && i < end * k) {
        same = same && row_bits(part, i - begin * k, (end - begin) * k) == want[i];
      }
    }
  }
  return same;
}

void float_law(mx::Dtype dtype, int tokens, int k, int experts, int outputs, int inputs) {
  // Half of a stack that holds two matrices of each expert, as gate_up_proj does.
  const mx::array both = normal({experts, 2 * outputs, inputs}, dtype);
  const mx::array weight = rows_of(both, 1, outputs, 2 * outputs);
  const mx::array x = normal({tokens, uniform(0, 1) == 0 ? 1 : k, inputs}, dtype);
  const ExpertsFn f = [&](const mx::array& a, const mx::array& i) { return experts_linear(a, weight, i); };
  const AloneFn alone = [&](const mx::array& a, int e) {
    return linear(a, mx::squeeze(rows_of(weight, 0, e, e + 1), 0));
  };
  check(experts_hold(f, alone, x, routed(tokens, k, experts)),
        "law of experts_linear " + text(dtype) + " " + std::to_string(tokens) + " tokens, " +
            std::to_string(k) + " of " + std::to_string(experts) + ", " + std::to_string(outputs) + "x" +
            std::to_string(inputs));
}

void packed_law(const Packing& p, mx::Dtype dtype, int tokens, int k, int experts, int outputs, int inputs) {
  const QuantizedWeight weight = packed_normal(p, {experts, outputs, inputs}, dtype);
  const mx::array x = normal({tokens, uniform(0, 1) == 0 ? 1 : k, inputs}, dtype);
  const ExpertsFn f = [&](const mx::array& a, const mx::array& i) { return experts_linear(a, weight, i); };
  const AloneFn alone = [&](const mx::array& a, int e) { return quantized_linear(a, matrix_of(weight, e)); };
  check(experts_hold(f, alone, x, routed(tokens, k, experts)),
        "law of experts_linear " + text(p) + " " + text(dtype) + " " + std::to_string(tokens) + " tokens");
}

bool all_close(const mx::array& a, const mx::array& b, double bound) {
  const auto as = numbers(a), bs = numbers(b);
  bool ok = as.size() == bs.size() && a.shape() == b.shape();
  for (std::size_t i = 0; ok && i < as.size(); ++i) ok = std::abs(as[i] - bs[i]) <= bound;
  return ok;
}

/** MLX's own operations on the same numbers, in float32. */
void beside_mlx() {
  const mx::array indices = routed(7, 3, 5);
  for (const int middle : {1, 3}) {
    const mx::array x = normal({7, middle, 256}, mx::float32), weight = normal({5, 30, 256}, mx::float32);
    check(all_close(experts_linear(x, weight, indices), operations::experts_linear(x, weight, indices), 1e-4),
          "experts_linear beside MLX");
    for (const Packing& p : packings()) {
      const QuantizedWeight packed = packed_normal(p, {5, 30, 256}, mx::float32);
      // Weights reach some hundreds in the widest packings.
      check(
          all_close(experts_linear(x, packed, indices), operations::experts_linear(x, packed, indices), 3e-2),
          "experts_linear beside MLX " + text(p));
    }
  }
}

void refusals() {
  const mx::array weight = normal({3, 8, 64}, mx::float32), x = normal({2, 1, 64}, mx::float32);
  const auto refused = [&](const std::string& what, const mx::array& a, const mx::array& w,
                           const mx::array& i) {
    bool threw = false;
    try {
      experts_linear(a, w, i);
    } catch (const std::invalid_argument&) {
      threw = true;
    }
    check(threw, "refused: " + what);
  };
  const mx::array indices = mx::zeros({2, 2}, mx::int32);
  refused("a matrix", x, normal({8, 64}, mx::float32), indices);
  refused("float indices", x, weight, mx::zeros({2, 2}, mx::float32));
  refused("other tokens", x, weight, mx::zeros({3, 2}, mx::int32));
  refused("other width", normal({2, 1, 32}, mx::float32), weight, indices);
  refused("three rows for two experts", normal({2, 3, 64}, mx::float32), weight, indices);
  // An index that is none reads no memory but the stack's.
  const mx::array wild({7, -1, 1000000, 2}, {2, 2}, mx::int32);
  check(bits(experts_linear(x, weight, wild)) ==
            bits(experts_linear(x, weight, mx::full({2, 2}, 2, mx::int32))),
        "experts_linear with indices that are none");
}

/** A row that takes another order when it is not alone: the property has to see it. */
void negative_control() {
  const mx::array weight = normal({4, 60, 512}, mx::float32), x = normal({6, 1, 512}, mx::float32);
  const ExpertsFn split = [&](const mx::array& a, const mx::array& i) {
    const int last = static_cast<int>(a.ndim()) - 1;
    return mx::add(experts_linear(rows_of(a, last, 0, 100), rows_of(weight, 2, 0, 100), i),
                   experts_linear(rows_of(a, last, 100, 512), rows_of(weight, 2, 100, 512), i));
  };
  const AloneFn alone = [&](const mx::array& a, int e) {
    return linear(a, mx::squeeze(rows_of(weight, 0, e, e + 1), 0));
  };
  check(!experts_hold(split, alone, x, routed(6, 2, 4)), "negative control of experts_linear");
}

}  // namespace

void experts_tests() {
  for (const mx::Dtype dtype : kTypes) {
    for (int i = 0; i < 4; ++i) {
      float_law(dtype, uniform(1, 20), uniform(1, 4), uniform(2, 9), uniform(1, 110), uniform(2, 1100));
    }
    float_law(dtype, 60, 2, 3, 50, 200);   // many rows of one expert
    float_law(dtype, 5, 8, 16, 700, 256);  // work enough for several threads
    for (const Packing& p : packings()) {
      packed_law(p, dtype, uniform(1, 16), uniform(1, 4), 5, uniform(1, 60), p.group_size * uniform(1, 6));
    }
    packed_law({QuantizationMode::affine, 4, 64}, dtype, 60, 2, 3, 50, 192);
    packed_law({QuantizationMode::affine, 4, 64}, dtype, 5, 8, 16, 700, 256);
  }
  beside_mlx();
  refusals();
  negative_control();
  set_threads(0);
}

}  // namespace mlx_gemma::kernels::test
