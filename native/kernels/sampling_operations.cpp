// Sampling as compositions of MLX's own operations.
#include <cmath>
#include <limits>

#include "mlx/ops.h"
#include "mlx/random.h"
#include "mlx_operations.h"

namespace mlx_gemma::kernels::operations {

namespace mx = mlx::core;

namespace {

array key_array(const RandomKey& key) { return array(key.data(), {2}, mx::uint32); }

array column(const array& a, int index) { return mx::slice(a, {0, index}, {a.shape(0), index + 1}); }

/** q over the vocabulary, (1, V): 0 for every token that is no candidate. */
array over_vocabulary(const DraftDistribution& q, int vocabulary) {
  if (!q.candidates) return q.probabilities;
  return mx::put_along_axis(mx::zeros({1, vocabulary}, mx::float32), *q.candidates, q.probabilities, 1);
}

array categorical(const array& probabilities, const RandomKey& key) {
  return mx::astype(mx::random::categorical(mx::log(probabilities), -1, key_array(key)), mx::int32);
}

}  // namespace

array probabilities(const array& logits, const Cuts& cuts) {
  const int width = logits.shape(-1);
  const array rows = mx::astype(mx::reshape(logits, {-1, width}), mx::float32);
  array x = mx::divide(mx::subtract(rows, mx::max(rows, -1, true)), array(divisor(cuts)));
  const auto cut = [&](const array& threshold) {
    x = mx::where(mx::less(x, threshold), array(-std::numeric_limits<float>::infinity()), x);
  };
  if (cuts.top_k > 0 && cuts.top_k < width) cut(column(mx::sort(x, -1), width - cuts.top_k));
  if (cuts.top_p < 1) {
    const array ascending = mx::sort(x, -1);
    const array up_to = mx::cumsum(mx::softmax(ascending, -1, true), -1);
    const array outside = mx::greater_equal(array(static_cast<float>(1 - cuts.top_p)), up_to);
    const array kept = mx::where(outside, array(std::numeric_limits<float>::infinity()), ascending);
    // Rounding of the sum must not cut the most likely token too.
    cut(mx::minimum(mx::min(kept, -1, true), array(0.0f)));
  }
  if (cuts.min_p > 0) cut(array(static_cast<float>(std::log(cuts.min_p))));
  return mx::reshape(mx::softmax(x, -1, true), logits.shape());
}

array draw(const array& probabilities, const std::optional<array>& tokens, const RandomKey& key) {
  const array place = mx::reshape(categorical(probabilities, key), {1, 1});
  return tokens ? mx::take_along_axis(*tokens, place, 1) : place;
}

array judge(const array& p, const std::optional<Drafts>& drafts, const std::vector<RandomKey>& accept,
            const std::vector<RandomKey>& next) {
  const int vocabulary = p.shape(-1), count = static_cast<int>(accept.size());
  const array rows = mx::reshape(p, {-1, vocabulary});
  std::vector<array> verdict, tokens;
  if (drafts) verdict.push_back(mx::reshape(drafts->tokens, {-1}));
  for (int r = 0; r <= count; ++r) {
    const array row = mx::slice(rows, {r, 0}, {r + 1, vocabulary});
    if (r == count) {
      tokens.push_back(categorical(row, next[r]));
      break;
    }
    const array q = over_vocabulary(drafts->distributions[r], vocabulary), token = column(drafts->tokens, r);
    const array u = mx::random::uniform({1, 1}, mx::float32, key_array(accept[r]));
    // u < p / q, without the division.
    const array accepted =
        mx::less(mx::multiply(u, mx::take_along_axis(q, token, 1)), mx::take_along_axis(row, token, 1));
    verdict.push_back(mx::reshape(mx::astype(accepted, mx::int32), {-1}));
    tokens.push_back(categorical(mx::maximum(mx::subtract(row, q), array(0.0f)), next[r]));
  }
  verdict.insert(verdict.end(), tokens.begin(), tokens.end());
  return mx::concatenate(verdict, 0);
}

}  // namespace mlx_gemma::kernels::operations
