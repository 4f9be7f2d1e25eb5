// The law: an output row's bits depend on that row alone. Each property is a function of a kernel, so that a
// kernel broken on purpose can be put in its place: the property must then fail.
#include <cmath>
#include <functional>

#include "check.h"

namespace mlx_gemma::kernels::test {
namespace {

using LinearFn = std::function<mx::array(const mx::array&, const mx::array&)>;
using AttentionFn = std::function<mx::array(const mx::array&, const mx::array&, const mx::array&, float,
                                            std::optional<AttentionMask>)>;

/**
 * Ordinary: normal values. Cancelling: every product comes back with the other sign, so that what is left is
 * the rounding of the sums, where another order shows whatever the dtype of the result.
 */
enum class Data { ordinary, cancelling };

bool linear_holds(const LinearFn& f, mx::Dtype dtype, int rows, int inputs, int outputs, Data data) {
  mx::array x = normal({rows, inputs}, dtype), w = normal({outputs, inputs}, dtype);
  if (data == Data::cancelling) {
    const mx::array a = rows_of(mx::multiply(x, mx::array(30.0f, dtype)), 1, 0, inputs / 2);
    const mx::array b = rows_of(w, 1, 0, inputs / 2);
    x = mx::concatenate({a, a}, 1);
    w = mx::concatenate({b, mx::negative(b)}, 1);
  }
  return block_holds([&](const mx::array& rows_of_x) { return f(rows_of_x, w); }, x);
}

struct Heads {
  int heads, kv_heads, width;
};

/** A cache with rows of garbage behind, and queries at its end: alone, with hidden keys, in blocks, from
 * other views. */
bool attention_holds(const AttentionFn& f, mx::Dtype dtype, Heads h, int rows, int past, int window,
                     Data data) {
  const int keys = past + rows, room = keys + uniform(0, 40);
  const auto cache = [&](bool paired) {
    mx::array seen = normal({1, h.kv_heads, keys, h.width}, dtype);
    if (paired) {
      // Values in pairs of opposite sign, and (below) scores so small that all weigh nearly the same.
      std::vector<float> signs(keys);
      for (int s = 0; s < keys; ++s) signs[s] = s % 2 == 0 ? 1.0f : -1.0f;
      seen = mx::multiply(mx::broadcast_to(rows_of(seen, 2, 0, 1), seen.shape()),
                          from_values(signs, {keys, 1}, dtype));
    }
    const mx::array behind = mx::full({1, h.kv_heads, room - keys, h.width}, std::nanf(""), dtype);
    mx::array all = mx::contiguous(mx::concatenate({seen, behind}, 2));
    all.eval();
    return all;
  };
  const bool cancelling = data == Data::cancelling;
  const mx::array k = cache(false), v = cache(cancelling);
  const mx::array q = normal({1, h.heads, rows, h.width}, dtype, cancelling ? 1e-5 : 1.0);
  const auto by_row = [&](const mx::array& out) { return bits(mx::transpose(out, {0, 2, 1, 3})); };
  set_threads(1);
  std::vector<std::string> alone;
  for (int t = 0; t < rows; ++t) {
    const int position = past + t;
    alone.push_back(
        by_row(f(rows_of(q, 2, t, t + 1), rows_of(k, 2, 0, position + 1), rows_of(v, 2, 0, position + 1),
                 0.3f, AttentionMask{.query_offset = position, .window = window})));
  }
  bool same = true;
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    set_threads(threads);
    const AttentionMask mask{.query_offset = past, .window = window};
    const std::string block = by_row(f(q, rows_of(k, 2, 0, keys), rows_of(v, 2, 0, keys), 0.3f, mask));
    const std::string hidden = by_row(f(restrided(q), k, restrided(v), 0.3f, mask));
    // A chunk of the rows, over a view that starts where its first row begins to see.
    const int begin = uniform(0, rows - 1), end = uniform(begin + 1, rows);
    const int start = window > 0 ? std::max(0, past + begin - window + 1) : 0;
    const std::string chunk =
        by_row(f(rows_of(q, 2, begin, end), rows_of(k, 2, start, room), rows_of(v, 2, start, room), 0.3f,
                 AttentionMask{.query_offset = past + begin, .window = window, .key_offset = start}));
    for (int t = 0; t < rows; ++t) {
      same = same && row_bits(block, t, rows) == alone[t] && row_bits(hidden, t, rows) == alone[t];
      if (t >= begin && t < end) same = same && row_bits(chunk, t - begin, end - begin) == alone[t];
    }
  }
  return same;
}

/** Rows of an elementwise or row-wise kernel. */
bool rows_hold(const std::function<mx::array(const mx::array&)>& f, const mx::array& x) {
  const int rows = x.shape(0);
  set_threads(1);
  std::vector<std::string> alone;
  for (int r = 0; r < rows; ++r) alone.push_back(bits(f(rows_of(x, 0, r, r + 1))));
  bool same = true;
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    set_threads(threads);
    const std::string block = bits(f(x)), strided = bits(f(restrided(x)));
    for (int r = 0; r < rows; ++r) {
      same = same && row_bits(block, r, rows) == alone[r] && row_bits(strided, r, rows) == alone[r];
    }
  }
  return same;
}

bool rope_holds(mx::Dtype dtype, int heads, int rows, int width) {
  const mx::array x = normal({1, heads, rows, width}, dtype), f = mx::abs(normal({width / 2}, mx::float32));
  const int position = uniform(0, 5000);
  const auto by_row = [&](const mx::array& out) { return bits(mx::transpose(out, {0, 2, 1, 3})); };
  set_threads(1);
  std::vector<std::string> alone;
  for (int t = 0; t < rows; ++t) alone.push_back(by_row(rotated(rows_of(x, 2, t, t + 1), f, position + t)));
  bool same = true;
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    set_threads(threads);
    const std::string block = by_row(rotated(x, f, position));
    const std::string strided = by_row(rotated(restrided(x), f, position));
    for (int t = 0; t < rows; ++t) {
      same = same && row_bits(block, t, rows) == alone[t] && row_bits(strided, t, rows) == alone[t];
    }
  }
  return same;
}

void linear_law(mx::Dtype dtype) {
  for (int i = 0; i < 12; ++i) {
    const int rows = some_rows(), inputs = i % 3 == 0 ? 16 * uniform(1, 80) : uniform(2, 1300),
              outputs = uniform(1, 150);
    check(linear_holds(linear, dtype, rows, inputs, outputs, i % 4 == 3 ? Data::cancelling : Data::ordinary),
          "law of linear " + text(dtype) + " " + std::to_string(rows) + "x" + std::to_string(outputs) + "x" +
              std::to_string(inputs));
  }
  // Work enough for several threads.
  for (const Data data : {Data::ordinary, Data::cancelling}) {
    check(linear_holds(linear, dtype, 9, 512, 3000, data), "law of linear " + text(dtype) + " with threads");
    check(linear_holds(linear, dtype, 130, 256, 400, data),
          "law of linear " + text(dtype) + " with threads, many rows");
  }
}

void attention_law(mx::Dtype dtype) {
  const Heads shapes[] = {{4, 1, 64}, {8, 2, 32},  {2, 2, 20}, {8, 1, 64},
                          {3, 1, 16}, {8, 1, 256}, {5, 1, 96}};
  constexpr int kShapes = std::size(shapes);
  for (int i = 0; i < 4 * kShapes; ++i) {
    const int rows = some_rows(), past = uniform(0, 500), window = i % 2 == 0 ? 0 : uniform(1, 300);
    const Data data = i % 3 == 2 ? Data::cancelling : Data::ordinary;
    check(attention_holds(attention, dtype, shapes[i % kShapes], rows, past, window, data),
          "law of attention " + text(dtype) + " shape " + std::to_string(i % kShapes) + " rows " +
              std::to_string(rows) + " past " + std::to_string(past) + " window " + std::to_string(window));
  }
}

void other_laws(mx::Dtype dtype) {
  for (int i = 0; i < 4; ++i) {
    const int rows = some_rows(), width = uniform(1, 600);
    const mx::array x = normal({rows, 3, width}, dtype), w = normal({width}, dtype);
    check(rows_hold([&](const mx::array& a) { return rms_norm(a, w, 1e-6f); }, x),
          "law of rms_norm " + text(dtype));
    check(rows_hold([&](const mx::array& a) { return gelu_multiply(a, a); }, x),
          "law of gelu_multiply " + text(dtype));
    check(rope_holds(dtype, uniform(1, 8), rows, 2 * uniform(1, 70)), "law of rope " + text(dtype));
  }
}

/** Kernels whose order depends on what it must not: the properties above have to see it. */
void negative_controls(mx::Dtype dtype) {
  const LinearFn split_by_rows = [](const mx::array& x, const mx::array& w) {
    const int inputs = w.shape(1), rows = static_cast<int>(x.size()) / inputs;
    if (rows == 1) return linear(x, w);
    const int last = static_cast<int>(x.ndim()) - 1;
    const mx::array a = mx::astype(x, mx::float32), b = mx::astype(w, mx::float32);
    const mx::array sum =
        mx::add(linear(rows_of(a, last, 0, inputs / 2), rows_of(b, 1, 0, inputs / 2)),
                linear(rows_of(a, last, inputs / 2, inputs), rows_of(b, 1, inputs / 2, inputs)));
    return mx::astype(sum, x.dtype());
  };
  check(!linear_holds(split_by_rows, dtype, 12, 1000, 150, Data::cancelling),
        "negative control of linear " + text(dtype));
  // Blocks counted from the start of the view, or of the call, instead of from position 0.
  const AttentionFn relative = [](const mx::array& q, const mx::array& k, const mx::array& v, float scale,
                                  std::optional<AttentionMask> mask) {
    if (mask && q.shape(2) > 1) {
      mask->query_offset += 37;
      mask->key_offset += 37;
    }
    return attention(q, k, v, scale, mask);
  };
  check(!attention_holds(relative, dtype, {4, 1, 64}, 12, 300, 0, Data::cancelling),
        "negative control of attention " + text(dtype));
}

}  // namespace

void law_tests() {
  for (const mx::Dtype dtype : kTypes) {
    linear_law(dtype);
    attention_law(dtype);
    other_laws(dtype);
    negative_controls(dtype);
  }
  set_threads(0);
}

}  // namespace mlx_gemma::kernels::test
