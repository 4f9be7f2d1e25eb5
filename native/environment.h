// What one JavaScript environment (the main thread's, or a worker's) owns.
#pragma once

#include <napi.h>

#include <cstdint>

namespace mlx_gemma {

struct Environment {
  Napi::FunctionReference array_class;
  int64_t evaluations = 0;
  int64_t readbacks = 0;
  int64_t live_arrays = 0;

  static Environment& Of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace mlx_gemma
