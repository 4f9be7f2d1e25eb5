// How many processor cores this process may use.
#pragma once

namespace mlx_gemma::kernels {

/** Physical cores among those the scheduler gives us, no more than a cgroup's CPU quota; at least 1. */
int usable_cores();

}  // namespace mlx_gemma::kernels
