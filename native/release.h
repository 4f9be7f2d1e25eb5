// When arrays are let go of. MLX looks at reference counts and links of a graph's nodes while it evaluates
// it, so the JavaScript thread must not destroy nodes at that time: handles that are dropped then wait for
// the end.
#pragma once

#include <mutex>

#include "mlx/array.h"

namespace mlx_gemma {

/** Destroys `array` now, or, while an evaluation runs anywhere in the process, right after it. Never waits.
 */
void ReleaseArray(mlx::core::array array);

/** The process's turn to evaluate: one at a time, as MLX's streams here are not safe for threads. */
class EvaluationTurn {
 public:
  /** Waits until no other evaluation runs. */
  EvaluationTurn();
  /** Destroys what was released meanwhile. */
  ~EvaluationTurn();
  EvaluationTurn(const EvaluationTurn&) = delete;
  EvaluationTurn& operator=(const EvaluationTurn&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace mlx_gemma
