// Sampling against its definitions in float64: which elements a cut leaves, how likely they are, what a
// random number draws, and when a draft is accepted.
#include "kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "check.h"

namespace mlx_gemma::kernels::test {
namespace {

constexpr double kEpsilon = 0x1p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::string described(const Cuts& cuts) {
  return "temperature " + std::to_string(cuts.temperature) + " top-k " + std::to_string(cuts.top_k) +
         " top-p " + std::to_string(cuts.top_p) + " min-p " + std::to_string(cuts.min_p);
}

/**
 * What must hold of one row: elements are kept that are at least as likely as all that are cut; top-k keeps
 * the k-th and what equals it; top-p reaches its share and would not without the last (but for rounding); and
 * the rest of the softmax is shared out among the kept.
 */
bool row_holds(const double* logits, int n, const Cuts& cuts, const double* got) {
  std::vector<float> x(n);
  const auto most = static_cast<float>(*std::max_element(logits, logits + n));
  for (int i = 0; i < n; ++i)
    x[i] = (static_cast<float>(logits[i]) - most) / static_cast<float>(cuts.temperature);
  std::vector<float> sorted = x;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  float least = cuts.top_k > 0 && cuts.top_k < n ? sorted[cuts.top_k - 1] : -kInfinity;
  const auto weight = [&](float value) { return std::exp(static_cast<double>(value)); };
  const auto mass = [&](float above, bool with) {
    double sum = 0;
    for (const float value : x) sum += value > above || (with && value == above) ? weight(value) : 0;
    return sum;
  };
  float last = kInfinity;  // the least likely of the kept
  for (int i = 0; i < n; ++i)
    if (got[i] > 0) last = std::min(last, x[i]);
  bool ok = last < kInfinity;
  if (cuts.top_p < 1) {
    constexpr double kRounding = 1e-6;
    const double limit = cuts.top_p * mass(least, true);
    const bool cut_by_others = cuts.min_p > 0;
    ok = ok && mass(last, false) <= limit * (1 + kRounding) && last >= least;
    ok = ok && (cut_by_others || mass(last, true) >= limit * (1 - kRounding));
    least = cut_by_others ? least : last;
  }
  if (cuts.min_p > 0) {
    const auto edge = static_cast<float>(std::log(cuts.min_p));
    ok = ok && last >= edge;
    least = cuts.top_p < 1 ? last : std::max(least, edge);
  }
  const double total = mass(least, true);
  for (int i = 0; i < n; ++i) {
    const double want = x[i] >= least ? weight(x[i]) / total : 0.0;
    // Of e^x, its sum and the quotient. What is below e^-87.3 is 0.
    const double bound = 12 * kEpsilon * want + 0x1p-125;
    ok = ok && within("probabilities", got[i], want, bound, mx::float32);
  }
  return ok;
}

Cuts some_cuts(int n) {
  const auto maybe = [](double value, double none) { return uniform(0, 1) == 0 ? value : none; };
  return {.temperature = uniform(1, 30) / 10.0,
          .top_k = static_cast<int>(maybe(uniform(1, n + 3), 0)),
          .top_p = maybe(uniform(1, 99) / 100.0, 1.0),
          .min_p = maybe(uniform(1, 99) / 200.0, 0.0)};
}

void cut_cases(mx::Dtype dtype) {
  for (const int n : {1, 2, 5, 17, 33, 384, 1000, 5003}) {
    for (int round = 0; round < 8; ++round) {
      const int rows = uniform(1, 4);
      // Some of few different values, so that many are equal.
      const mx::array x = round % 2 == 0
                              ? normal({rows, n}, dtype, uniform(1, 8))
                              : mx::astype(mx::round(normal({rows, n}, mx::float32, uniform(1, 4))), dtype);
      const Cuts cuts = some_cuts(n);
      const auto logits = numbers(x), got = numbers(probabilities(x, cuts));
      bool ok = true;
      for (int r = 0; r < rows; ++r) ok = ok && row_holds(logits.data() + r * n, n, cuts, got.data() + r * n);
      check(ok, "probabilities " + text(dtype) + " of " + std::to_string(n) + " " + described(cuts));
      if (rows > 1)
        check(block_holds([&](const mx::array& rows_of_x) { return probabilities(rows_of_x, cuts); }, x),
              "probabilities " + text(dtype) + " of rows apart, " + described(cuts));
    }
  }
}

/** A vocabulary of real size, nearly flat: the cuts fall among thousands of neighbours. */
void large_cases() {
  constexpr int n = 262144;
  const mx::array x = normal({2, n}, mx::bfloat16, 0.5);
  const auto logits = numbers(x);
  for (const Cuts& cuts : {Cuts{1.0, 64, 0.95, 0.0}, Cuts{1.0, 0, 0.9, 0.0}, Cuts{0.7, 0, 1.0, 0.2}}) {
    const auto got = numbers(probabilities(x, cuts));
    check(row_holds(logits.data(), n, cuts, got.data()) &&
              row_holds(logits.data() + n, n, cuts, got.data() + n),
          "probabilities of 262144, " + described(cuts));
  }
}

void hostile_cases() {
  const auto of = [](const std::vector<float>& values, const Cuts& cuts) {
    return numbers(
        probabilities(from_values(values, {1, static_cast<int>(values.size())}, mx::float32), cuts));
  };
  const std::vector<Cuts> some{{1.0, 0, 1.0, 0.0}, {0.5, 2, 0.9, 0.1}, {1e-300, 0, 1.0, 0.0}};
  for (const Cuts& cuts : some) {
    using Row = std::vector<double>;
    check(of({kNan, 1, kNan}, cuts) == Row{0, 1, 0}, "a NaN is cut, " + described(cuts));
    check(of({-kInfinity, 5, kNan, 5}, cuts) == Row{0, 0.5, 0, 0.5},
          "minus infinity is cut, " + described(cuts));
    check(of({kInfinity, 5, kInfinity}, cuts) == Row{0.5, 0, 0.5}, "infinity is all, " + described(cuts));
    check(of({kNan, -kInfinity}, cuts) == Row{0, 0},
          "nothing is left of what is no number, " + described(cuts));
    check(of({3e38f, -3e38f, 3e38f}, cuts) == Row{0.5, 0, 0.5}, "the largest numbers, " + described(cuts));
    check(of({0.0f, -0.0f}, cuts) == Row{0.5, 0.5}, "minus zero is zero, " + described(cuts));
  }
}

void random_numbers() {
  // Random123's known answers, kat_vectors: threefry2x32, 20 rounds.
  using Words = std::array<std::uint32_t, 2>;
  check(threefry({0, 0}, {0, 0}) == Words{0x6b200159, 0x99ba4efe}, "threefry of zeros");
  check(threefry({~0u, ~0u}, {~0u, ~0u}) == Words{0x1cb996fc, 0xbb002be7}, "threefry of ones");
  check(threefry({0x13198a2e, 0x03707344}, {0x243f6a88, 0x85a308d3}) == Words{0xc4923a9c, 0x483df7a0},
        "threefry of pi");
  double sum = 0, least = 1, most = 0;
  constexpr int kDraws = 10000;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    const double u = kernels::uniform({7, i});
    sum += u, least = std::min(least, u), most = std::max(most, u);
  }
  check(least >= 0 && most < 1 && least < 1e-3 && most > 1 - 1e-3 && std::abs(sum / kDraws - 0.5) < 0.015,
        "uniform numbers");
}

/** Of weights many of which are zero, the place at which the running sum passes u of all of it. */
bool right_place(const std::vector<float>& weights, double u, int place) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double before = 0;
  for (int i = 0; i < place; ++i) before += weights[i];
  const double rounding = 1e-12 * total;
  return weights[place] > 0 && before <= u * total + rounding &&
         before + static_cast<double>(weights[place]) >= u * total - rounding;
}

std::vector<float> some_weights(int n) {
  std::vector<float> weights(n);
  const int rare = uniform(0, 3) == 0 ? 100 : 2;
  for (float& weight : weights)
    weight = uniform(0, rare) == 0 ? static_cast<float>(uniform(1, 1000)) * 1e-4f : 0;
  weights[uniform(0, n - 1)] = 0.5f;
  return weights;
}

void draw_cases() {
  for (const int n : {1, 3, 100, 512, 513, 4096, 50001}) {
    const std::vector<float> weights = some_weights(n);
    const mx::array p = from_values(weights, {1, n}, mx::float32);
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator());
    const mx::array tokens(order.begin(), {1, n}, mx::int32);
    bool ok = true;
    for (std::uint32_t i = 0; i < 60; ++i) {
      const RandomKey key{static_cast<std::uint32_t>(n), i};
      const mx::array drawn = draw(p, std::nullopt, key);
      const int place = static_cast<int>(numbers(drawn)[0]);
      ok = ok && drawn.shape() == mx::Shape{1, 1} && right_place(weights, kernels::uniform(key), place);
      ok = ok && static_cast<int>(numbers(draw(p, tokens, key))[0]) == order[place];
    }
    check(ok, "draws from " + std::to_string(n));
  }
  for (const float nothing : {0.0f, kNan}) {
    check(numbers(draw(from_values({nothing, nothing}, {1, 2}, mx::float32), std::nullopt, {1, 2}))[0] == 0,
          "a draw from nothing is the first place");
  }
}

/** Verdicts over drafts with and without candidates, element by element. */
void judge_cases() {
  for (int round = 0; round < 60; ++round) {
    const int count = uniform(0, 5), n = uniform(0, 1) == 0 ? uniform(1, 20) : uniform(500, 6000);
    std::vector<float> p;
    std::vector<int> tokens;
    std::vector<std::vector<float>> q_over_vocabulary;
    std::vector<DraftDistribution> distributions;
    std::vector<RandomKey> accept, next;
    for (std::uint32_t r = 0; r <= static_cast<std::uint32_t>(count); ++r) {
      const std::vector<float> row = some_weights(n);
      p.insert(p.end(), row.begin(), row.end());
      next.push_back({static_cast<std::uint32_t>(round), r});
      if (r == static_cast<std::uint32_t>(count)) break;
      accept.push_back({static_cast<std::uint32_t>(round) + 1000, r});
      std::vector<float> q = some_weights(n);
      tokens.push_back(uniform(0, n - 1));
      if (uniform(0, 1) == 0) {
        distributions.push_back({from_values(q, {1, n}, mx::float32), std::nullopt});
      } else {
        std::vector<int> order(n);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), generator());
        order.resize(uniform(1, n));
        std::vector<float> of_candidates, spread(n, 0.0f);
        for (const int token : order) of_candidates.push_back(q[token]), spread[token] = q[token];
        const int c = static_cast<int>(order.size());
        distributions.push_back(
            {from_values(of_candidates, {1, c}, mx::float32), mx::array(order.begin(), {1, c}, mx::int32)});
        q = spread;
      }
      q_over_vocabulary.push_back(q);
    }
    std::optional<Drafts> drafts;
    if (count > 0) drafts = {mx::array(tokens.begin(), {1, count}, mx::int32), distributions};
    const mx::array rows = from_values(p, {1, count + 1, n}, mx::float32);
    const std::vector<double> verdict = numbers(judge(rows, drafts, accept, next));
    bool ok = static_cast<int>(verdict.size()) == 3 * count + 1;
    for (int r = 0; ok && r <= count; ++r) {
      std::vector<float> rest(p.begin() + r * n, p.begin() + (r + 1) * n);
      if (r < count) {
        const std::vector<float>& q = q_over_vocabulary[r];
        const double u = kernels::uniform(accept[r]);
        ok = ok && verdict[r] == tokens[r];
        ok = ok && verdict[count + r] == (u * q[tokens[r]] < rest[tokens[r]] ? 1 : 0);
        for (int i = 0; i < n; ++i) rest[i] = std::max(rest[i] - q[i], 0.0f);
      }
      const int place = static_cast<int>(verdict[2 * count + r]);
      const bool some = std::any_of(rest.begin(), rest.end(), [](float weight) { return weight > 0; });
      ok = ok && (some ? right_place(rest, kernels::uniform(next[r]), place) : place == 0);
    }
    check(ok, "a verdict over " + std::to_string(count) + " drafts of " + std::to_string(n));
  }
  // Tokens that nobody has are rejected, and read nothing.
  const mx::array p = from_values({0.5f, 0.5f, 0.5f, 0.5f}, {1, 2, 2}, mx::float32);
  for (const int stranger : {-1, 2, std::numeric_limits<int>::max()}) {
    const mx::array token({stranger}, {1, 1}, mx::int32);
    for (const DraftDistribution& q :
         {DraftDistribution{from_values({1.0f}, {1, 1}, mx::float32), token},
          DraftDistribution{from_values({0.5f, 0.5f}, {1, 2}, mx::float32), std::nullopt}}) {
      const std::vector<double> verdict = numbers(judge(p, Drafts{token, {q}}, {{1, 2}}, {{1, 3}, {1, 4}}));
      check(verdict[1] == 0 && verdict[2] < 2, "a draft that is no token");
    }
  }
}

}  // namespace

void sampling_tests() {
  set_threads(0);
  for (const mx::Dtype dtype : kTypes) cut_cases(dtype);
  large_cases();
  hostile_cases();
  random_numbers();
  draw_cases();
  judge_cases();
}

}  // namespace mlx_gemma::kernels::test
