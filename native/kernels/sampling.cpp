#include "sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "inputs.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

/** What rows are worth: an element costs some 4 ns, as much as many multiply-adds. */
double work_of(std::int64_t rows, int width) { return 64.0 * static_cast<double>(rows) * width; }

/** The sum in double precision, eight chains of it. */
double sum(const float* values, int count) {
  constexpr int kChains = 8;
  double chains[kChains] = {};
  int i = 0;
  for (; i + kChains <= count; i += kChains)
    for (int c = 0; c < kChains; ++c) chains[c] += static_cast<double>(values[i + c]);
  for (; i < count; ++i) chains[0] += static_cast<double>(values[i]);
  double total = 0;
  for (const double chain : chains) total += chain;
  return total;
}

/** Logits without what is no number: NaN becomes nothing, infinity the largest there is. */
template <class T>
void numbers(const char* logits, int count, float* out) {
  const T* p = reinterpret_cast<const T*>(logits);
  for (int i = 0; i < count; ++i) {
    const float x = static_cast<float>(p[i]);
    out[i] = std::min(x == x ? x : kNothing, std::numeric_limits<float>::max());
  }
}

void numbers(Element element, const char* logits, int count, float* out) {
  switch (element) {
    case Element::bf16:
      return numbers<mx::bfloat16_t>(logits, count, out);
    case Element::f16:
      return numbers<mx::float16_t>(logits, count, out);
    case Element::f32:
      return numbers<float>(logits, count, out);
  }
}

/** Smaller for larger numbers. */
std::uint32_t descending(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return bits >> 31 != 0 ? bits : bits ^ 0x7fffffffu;
}

/** The key of the k-th most likely of more than k. */
std::uint32_t kth(const float* x, int count, int k) {
  thread_local std::vector<std::uint32_t> best;
  best.clear();
  std::uint32_t bound = ~std::uint32_t{0};  // the k best are not beyond it
  const auto shrink = [&] {
    std::nth_element(best.begin(), best.begin() + (k - 1), best.end());
    best.resize(static_cast<std::size_t>(k));
    bound = best[static_cast<std::size_t>(k) - 1];
  };
  for (int i = 0; i < count; ++i) {
    const std::uint32_t key = descending(x[i]);
    if (key > bound) continue;
    best.push_back(key);
    if (best.size() >= 2 * static_cast<std::size_t>(k) + 64) shrink();
  }
  shrink();
  return bound;
}

struct Candidate {
  std::uint32_t key;
  float weight;
};

/** The last of the digits, with their weights, before which there is less than `limit`. What is before it is
 * added to `before`. */
template <std::size_t N>
std::uint32_t last_digit(const double (&weights)[N], double limit, double& before) {
  std::uint32_t last = 0;
  double running = before;
  for (std::uint32_t digit = 0; digit < N && running < limit; ++digit) {
    if (weights[digit] == 0) continue;
    last = digit, before = running;
    running += weights[digit];
  }
  return last;
}

/** The key of the last candidate, most likely first, before which there is less than `limit`. They are many
 * before a radix sort has followed the digits that it has; few are sorted. */
std::uint32_t last_kept(std::vector<Candidate>& candidates, double limit) {
  constexpr std::size_t kFew = 256;
  constexpr std::uint32_t kDigits = 1 << 11;
  double before = 0;
  for (const int shift : {21, 10, 0}) {  // the last digit has ten bits, and one that is known
    if (candidates.size() <= kFew) break;
    const auto digit = [&](const Candidate& c) { return c.key >> shift & (kDigits - 1); };
    double weights[kDigits] = {};
    for (const Candidate& c : candidates) weights[digit(c)] += static_cast<double>(c.weight);
    const std::uint32_t last = last_digit(weights, limit, before);
    std::erase_if(candidates, [&](const Candidate& c) { return digit(c) != last; });
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.key < b.key; });
  std::uint32_t key = candidates.front().key;
  for (const Candidate& c : candidates) {
    if (before >= limit) break;
    key = c.key;
    before += static_cast<double>(c.weight);
  }
  return key;
}

/** One row: see probabilities(). */
void distribute(Element element, const char* logits, int count, const Cuts& cuts, float* out) {
  const RowFunctions& functions = row_functions();
  float* x = thread_scratch(0, static_cast<std::size_t>(count));
  numbers(element, logits, count, x);
  const float largest = x[functions.argmax[static_cast<int>(Element::f32)](x, count)];
  if (largest == kNothing) {
    std::fill(out, out + count, 0.0f);
    return;
  }
  const float by = divisor(cuts);
  for (int i = 0; i < count; ++i) x[i] = (x[i] - largest) / by + 0.0f;  // -0 is 0: equals stay together
  if (cuts.top_k > 0 && cuts.top_k < count) {
    const std::uint32_t last = kth(x, count, cuts.top_k);
    for (int i = 0; i < count; ++i) x[i] = descending(x[i]) <= last ? x[i] : kNothing;
  }
  functions.exponentials(x, count, out);
  if (cuts.top_p < 1) {
    thread_local std::vector<Candidate> candidates;
    candidates.clear();
    for (int i = 0; i < count; ++i)
      if (out[i] > 0) candidates.push_back({descending(x[i]), out[i]});
    const std::uint32_t last = last_kept(candidates, cuts.top_p * sum(out, count));
    for (int i = 0; i < count; ++i) out[i] = descending(x[i]) <= last ? out[i] : 0.0f;
  }
  if (cuts.min_p > 0) {
    const auto least = static_cast<float>(std::log(cuts.min_p));
    for (int i = 0; i < count; ++i) out[i] = x[i] >= least ? out[i] : 0.0f;
  }
  const auto total = static_cast<float>(sum(out, count));
  for (int i = 0; i < count; ++i) out[i] /= total;
}

/** The first place where the running sum of the weights passes u times all of it; 0 where there is none. */
int drawn(const float* weights, int count, double u) {
  constexpr int kBlock = 512;
  const auto block = [&](int begin) { return sum(weights + begin, std::min(kBlock, count - begin)); };
  double total = 0, running = 0;
  for (int begin = 0; begin < count; begin += kBlock) total += block(begin);
  const double at = u * total;
  for (int begin = 0; begin < count; begin += kBlock) {
    const double before = running;
    running += block(begin);
    if (!(running > at)) continue;
    double within = before;
    int place = begin;  // the last with weight: the block's sum and this one may differ in their last bits
    for (int i = begin; i < std::min(begin + kBlock, count) && !(within > at); ++i) {
      if (!(weights[i] > 0)) continue;
      place = i;
      within += static_cast<double>(weights[i]);
    }
    return place;
  }
  return 0;
}

/** Inputs: logits. */
class Probabilities : public CpuPrimitive {
 public:
  Probabilities(mx::Stream stream, const Cuts& cuts) : CpuPrimitive(stream), cuts_(cuts) {}
  const char* name() const override { return "GemmaProbabilities"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Element element = element_of(inputs[0], name());
    const array logits = dense_rows(inputs[0], encoder);
    encoder.set_input_array(logits);
    encoder.set_output_array(out);
    encoder.dispatch([view = RowView(logits), width = logits.shape(-1), element, cuts = cuts_,
                      to = out.data<float>()]() {
      parallel_rows(view.rows, work_of(view.rows, width),
                    [&](std::int64_t r) { distribute(element, view.row(r), width, cuts, to + r * width); });
    });
  }

 private:
  Cuts cuts_;
};

/** Inputs: probabilities, and maybe tokens. */
class Draw : public CpuPrimitive {
 public:
  Draw(mx::Stream stream, double u) : CpuPrimitive(stream), u_(u) {}
  const char* name() const override { return "GemmaDraw"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Packings none;
    Inputs in(inputs, none, Element::f32, encoder);
    const array weights = in.dense();
    const std::int32_t* tokens = inputs.size() > 1 ? in.dense().data<std::int32_t>() : nullptr;
    encoder.set_output_array(out);
    encoder.dispatch([from = weights.data<float>(), count = weights.shape(-1), tokens, u = u_,
                      to = out.data<std::int32_t>()]() {
      const int place = drawn(from, count, u);
      *to = tokens == nullptr ? place : tokens[place];
    });
  }

 private:
  double u_;
};

/** The distribution a draft was drawn from, as a task has it. */
struct DraftView {
  const float* probabilities;
  const std::int32_t* candidates;  // null: the vocabulary
  int count;

  /** Of a token of the vocabulary. */
  float of(int token) const {
    if (candidates == nullptr) return probabilities[token];
    const auto* found = std::find(candidates, candidates + count, token);
    return found == candidates + count ? 0.0f : probabilities[found - candidates];
  }
  /** Takes it away from `rest` (V), which does not fall below 0. */
  void leave(float* rest, int vocabulary) const {
    for (int i = 0; i < count; ++i) {
      const int token = candidates == nullptr ? i : candidates[i];
      if (token >= 0 && token < vocabulary) rest[token] = std::max(rest[token] - probabilities[i], 0.0f);
    }
  }
};

/** Inputs: p; where there are drafts, they, and for each of them its probabilities and maybe candidates. */
class Judge : public CpuPrimitive {
 public:
  /** @param over_candidates for each draft, whether it has such */
  Judge(mx::Stream stream, std::vector<bool> over_candidates, std::vector<double> accept,
        std::vector<double> next)
      : CpuPrimitive(stream),
        over_candidates_(std::move(over_candidates)),
        accept_(std::move(accept)),
        next_(std::move(next)) {}
  const char* name() const override { return "GemmaJudge"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Packings none;
    Inputs in(inputs, none, Element::f32, encoder);
    const array p = in.dense();
    const std::int32_t* tokens = inputs.size() > 1 ? in.dense().data<std::int32_t>() : nullptr;
    std::vector<DraftView> drafts;
    for (const bool some : over_candidates_) {
      const array q = in.dense();
      drafts.push_back({q.data<float>(), some ? in.dense().data<std::int32_t>() : nullptr, q.shape(-1)});
    }
    encoder.set_output_array(out);
    encoder.dispatch([drafts = std::move(drafts), tokens, from = p.data<float>(), vocabulary = p.shape(-1),
                      accept = accept_, next = next_, to = out.data<std::int32_t>()]() {
      const int count = static_cast<int>(drafts.size());
      parallel_rows(count + 1, work_of(count + 1, vocabulary), [&](std::int64_t r) {
        const float* row = from + r * vocabulary;
        if (r < count) {
          const int token = tokens[r];
          to[r] = token;
          to[count + r] =
              token >= 0 && token < vocabulary &&
              accept[r] * static_cast<double>(drafts[r].of(token)) < static_cast<double>(row[token]);
          float* rest = thread_scratch(0, static_cast<std::size_t>(vocabulary));
          std::copy(row, row + vocabulary, rest);
          drafts[r].leave(rest, vocabulary);
          row = rest;
        }
        to[2 * count + r] = drawn(row, vocabulary, next[r]);
      });
    });
  }

 private:
  std::vector<bool> over_candidates_;
  std::vector<double> accept_, next_;
};

std::vector<double> uniforms(const std::vector<RandomKey>& keys) {
  std::vector<double> out;
  for (const RandomKey& key : keys) out.push_back(uniform(key));
  return out;
}

bool one_row(const array& a, mx::Dtype dtype) {
  return a.ndim() == 2 && a.shape(0) == 1 && a.shape(1) > 0 && a.dtype() == dtype;
}

}  // namespace

array probabilities(const array& logits, const Cuts& cuts) {
  element_of(logits, "probabilities");
  require(logits.ndim() >= 1 && logits.shape(-1) > 0, "probabilities",
          "expected rows of one element or more");
  require(cuts.temperature > 0 && cuts.top_k >= 0 && cuts.top_p > 0 && cuts.min_p >= 0, "probabilities",
          "expected a temperature and top-p above 0, top-k and min-p of at least 0");
  if (!own_kernels()) return operations::probabilities(logits, cuts);
  return array(logits.shape(), mx::float32, std::make_shared<Probabilities>(current_stream(), cuts),
               {logits});
}

array draw(const array& probabilities, const std::optional<array>& tokens, const RandomKey& key) {
  require(one_row(probabilities, mx::float32), "draw", "expected float32 probabilities (1, C)");
  require(!tokens || (one_row(*tokens, mx::int32) && tokens->shape() == probabilities.shape()), "draw",
          "expected int32 tokens (1, C)");
  if (!own_kernels()) return operations::draw(probabilities, tokens, key);
  std::vector<array> inputs{probabilities};
  if (tokens) inputs.push_back(*tokens);
  return array({1, 1}, mx::int32, std::make_shared<Draw>(current_stream(), uniform(key)), std::move(inputs));
}

array judge(const array& p, const std::optional<Drafts>& drafts, const std::vector<RandomKey>& accept,
            const std::vector<RandomKey>& next) {
  require(p.ndim() >= 2 && p.shape(-1) > 0 && p.dtype() == mx::float32, "judge",
          "expected float32 probabilities (…, K + 1, V)");
  const int rows = static_cast<int>(p.size() / p.shape(-1)), count = drafts ? drafts->tokens.shape(-1) : 0;
  require(rows == count + 1 && accept.size() == static_cast<std::size_t>(count) &&
              next.size() == static_cast<std::size_t>(rows),
          "judge", "expected a row and a key for each draft and one behind them");
  std::vector<array> inputs{p};
  std::vector<bool> over_candidates;
  if (drafts) {
    require(one_row(drafts->tokens, mx::int32) && drafts->distributions.size() == accept.size(), "judge",
            "expected int32 drafts (1, K), and for each of them what it was drawn from");
    inputs.push_back(drafts->tokens);
    for (const auto& [q, candidates] : drafts->distributions) {
      require(one_row(q, mx::float32) && (candidates ? one_row(*candidates, mx::int32) : true) &&
                  q.shape(1) == (candidates ? candidates->shape(1) : p.shape(-1)),
              "judge", "expected float32 (1, C), and int32 candidates (1, C) where C is not the vocabulary");
      inputs.push_back(q);
      if (candidates) inputs.push_back(*candidates);
      over_candidates.push_back(candidates.has_value());
    }
  }
  if (!own_kernels()) return operations::judge(p, drafts, accept, next);
  return array(
      {3 * count + 1}, mx::int32,
      std::make_shared<Judge>(current_stream(), std::move(over_candidates), uniforms(accept), uniforms(next)),
      std::move(inputs));
}

}  // namespace mlx_gemma::kernels
