// What the benchmarks of kernels_bench share.
#pragma once

#include <chrono>
#include <functional>

#include "mlx/mlx.h"

namespace mlx_gemma::kernels::bench {

namespace mx = mlx::core;

using Clock = std::chrono::steady_clock;

/** Milliseconds of one call in a chain of `chain` independent ones, evaluated together: the best of some. */
double best_ms(const std::function<mx::array()>& call, int chain = 1, double budget_ms = 400);

/** Standard normal values. */
mx::array random(mx::Shape shape, mx::Dtype dtype);

/** Attention over caches that no processor cache holds, beside reading the same bytes. */
void context();

}  // namespace mlx_gemma::kernels::bench
