#include "gemma4/router.h"

#include <cmath>

#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

Router::Router(const Config& config, const Weights& weights, const std::string& name)
    : top_k_(config.experts->top_k),
      norm_(config.rms_norm_eps),
      scale_(weights.at(name + ".scale", {config.hidden_size})),
      root_size_(static_cast<float>(1 / std::sqrt(static_cast<double>(config.hidden_size)))),
      proj_(weights, name + ".proj", config.hidden_size, config.experts->count),
      per_expert_scale_(
          mx::astype(weights.at(name + ".per_expert_scale", {config.experts->count}), mx::float32)) {}

Routing Router::operator()(const array& h) const {
  const array x = kernels::scaled(mx::multiply(norm_(h), scale_), root_size_);           // (1, T, H)
  const array probabilities = mx::softmax(mx::astype(proj_(x), mx::float32), -1, true);  // (1, T, E)
  // A sort, not a partition: it is stable, so that a row's order is its own whatever stands beside it.
  const array order = mx::argsort(mx::negative(probabilities), -1);
  const array experts = mx::slice(order, {0, 0, 0}, {1, h.shape(1), top_k_});  // (1, T, k)
  const array chosen = mx::take_along_axis(probabilities, experts, -1);
  const array shares = mx::divide(chosen, mx::sum(chosen, -1, true));
  return {experts, mx::multiply(shares, mx::take(per_expert_scale_, experts, 0))};
}

}  // namespace mlx_gemma::gemma4
