#include "gemma4/experts.h"

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

const char* const kFused = ".gate_up_proj";

ExpertsLinear make_gate(const Config& config, const Weights& weights, const std::string& name) {
  const auto& [count, top_k, inner] = *config.experts;
  if (weights.has(name + kFused)) {
    return ExpertsLinear(weights.at(name + kFused, {count, 2 * inner, config.hidden_size}));
  }
  return ExpertsLinear(weights.stored(name + ".switch_glu.gate_proj", {count, inner, config.hidden_size}));
}

std::optional<ExpertsLinear> make_up(const Config& config, const Weights& weights, const std::string& name) {
  const auto& [count, top_k, inner] = *config.experts;
  if (weights.has(name + kFused)) return std::nullopt;
  return ExpertsLinear(weights.stored(name + ".switch_glu.up_proj", {count, inner, config.hidden_size}));
}

ExpertsLinear make_down(const Config& config, const Weights& weights, const std::string& name) {
  const auto& [count, top_k, inner] = *config.experts;
  const Shape shape{count, config.hidden_size, inner};
  if (weights.has(name + kFused)) return ExpertsLinear(weights.at(name + ".down_proj", shape));
  return ExpertsLinear(weights.stored(name + ".switch_glu.down_proj", shape));
}

/** Places [begin, end) of the last of four axes. */
array last_axis(const array& x, int begin, int end) {
  return mx::slice(x, {0, 0, 0, begin}, {x.shape(0), x.shape(1), x.shape(2), end});
}

}  // namespace

array ExpertsLinear::operator()(const array& x, const array& experts) const {
  if (const auto* packed = std::get_if<kernels::QuantizedWeight>(&weight_)) {
    return kernels::experts_linear(x, *packed, experts);
  }
  return kernels::experts_linear(x, std::get<array>(weight_), experts);
}

Experts::Experts(const Config& config, const Weights& weights, const std::string& name)
    : inner_(config.experts->intermediate_size),
      gate_(make_gate(config, weights, name)),
      up_(make_up(config, weights, name)),
      down_(make_down(config, weights, name)) {}

array Experts::activated(const array& x, const array& experts) const {
  const array gate = gate_(x, experts);
  if (up_) return kernels::gelu_multiply(gate, (*up_)(x, experts));
  return kernels::gelu_multiply(last_axis(gate, 0, inner_), last_axis(gate, inner_, 2 * inner_));
}

array Experts::operator()(const array& x, const Routing& routing) const {
  const array inner = activated(mx::expand_dims(x, 2), routing.experts);  // (1, T, k, M)
  const array each = down_(inner, routing.experts);                       // (1, T, k, H)
  const array weighted = mx::multiply(mx::astype(each, mx::float32), mx::expand_dims(routing.weights, 3));
  return mx::astype(mx::sum(weighted, 2), x.dtype());  // (1, T, H)
}

ExpertsBlock::ExpertsBlock(const Config& config, const Weights& weights, const std::string& layer)
    : router_(config, weights, layer + ".router"),
      experts_(config, weights, layer + ".experts"),
      post_feedforward_layernorm_1_(weights, layer + ".post_feedforward_layernorm_1", config.hidden_size,
                                    config.rms_norm_eps),
      pre_feedforward_layernorm_2_(weights, layer + ".pre_feedforward_layernorm_2", config.hidden_size,
                                   config.rms_norm_eps),
      post_feedforward_layernorm_2_(weights, layer + ".post_feedforward_layernorm_2", config.hidden_size,
                                    config.rms_norm_eps) {}

array ExpertsBlock::operator()(const array& dense, const array& h) const {
  const array routed = experts_(pre_feedforward_layernorm_2_(h), router_(h));
  return mx::add(post_feedforward_layernorm_1_(dense), post_feedforward_layernorm_2_(routed));
}

}  // namespace mlx_gemma::gemma4
