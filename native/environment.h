// What one JavaScript environment (the main thread's, or a worker's) owns.
#pragma once

#include <napi.h>

#include <cstdint>
#include <deque>
#include <unordered_set>

namespace mlx_gemma {

struct ArrayHandle;

struct Environment {
  Napi::FunctionReference array_class;
  /** Array handles that are neither disposed nor collected. */
  std::unordered_set<ArrayHandle*> arrays;
  /** Evaluations that have not ended, in the order of their calls; the first has begun. */
  std::deque<Napi::AsyncWorker*> evaluating;
  int64_t evaluations = 0;
  int64_t readbacks = 0;

  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  /** Handles may be collected after their environment's data: they must not look for it then. */
  ~Environment();

  static Environment& Of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace mlx_gemma
