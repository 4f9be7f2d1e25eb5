// Speculative sampling (Leviathan et al. 2023, Chen et al. 2023): from logits to tokens.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "kernels.h"
#include "threefry.h"

namespace mlx_gemma::kernels {

/** What of a distribution is left before a token is drawn. Each cut is a threshold: equal logits stay or go
 * together. */
struct Cuts {
  double temperature;  // above 0
  int top_k;           // keeps the k most likely; 0: all
  double top_p;        // then the smallest set of most likely ones that has this share; 1: all
  double min_p;        // then what has this share of the most likely one's probability; 0: all
};

/** What logits, less the largest of their row, are divided by: the smallest there is leaves the largest
 * alone. */
inline float divisor(const Cuts& cuts) {
  return std::max(static_cast<float>(cuts.temperature), std::numeric_limits<float>::min());
}

/**
 * softmax(logits / temperature) after the cuts; 0 where they cut. On a CPU a NaN counts as cut, and a row
 * without any number is 0.
 *
 * @param logits (…, n)
 * @return float32 (…, n)
 */
array probabilities(const array& logits, const Cuts& cuts);

/**
 * A token with the probability that it has: on a CPU the first place where the running sum passes a uniform
 * number; elsewhere MLX draws it.
 *
 * @param probabilities float32 (1, C); they need not add up to 1
 * @param tokens int32 (1, C), what stands for each place; absent: the place itself
 * @return int32 (1, 1)
 */
array draw(const array& probabilities, const std::optional<array>& tokens, const RandomKey& key);

/** What a draft was drawn from. */
struct DraftDistribution {
  array probabilities;              // float32 (1, C)
  std::optional<array> candidates;  // int32 (1, C); absent: C is the vocabulary
};

struct Drafts {
  array tokens;  // int32 (1, K)
  std::vector<DraftDistribution> distributions;
};

/**
 * Accepts draft d with probability min(1, p(d) / q(d)), and draws what to go on with from what is left of p
 * where it would be rejected, or, behind the last draft, from p.
 *
 * @param p float32 (…, K + 1, V), of the place of each draft and of the one behind them
 * @param accept one key for each draft
 * @param next one key for each row of p
 * @return int32 (3 K + 1): the drafts, for each of them 1 if it would be accepted where those before it are,
 * and the K + 1 tokens to go on with
 */
array judge(const array& p, const std::optional<Drafts>& drafts, const std::vector<RandomKey>& accept,
            const std::vector<RandomKey>& next);

}  // namespace mlx_gemma::kernels
