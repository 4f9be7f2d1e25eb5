// Evaluation off the JavaScript thread, and reading values back.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds `evaluate`, `readInt32` and `readFloat32` to the module. */
void RegisterEvaluate(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
