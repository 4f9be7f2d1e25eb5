// Graph-building operations for JavaScript: NativeOps of src/mlx/native.ts.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds `ops` to the module. */
void RegisterOps(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
