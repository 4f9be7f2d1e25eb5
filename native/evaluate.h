// Evaluation off the JavaScript thread, and reading values back.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds `evaluate`, `readInt32`, `readFloat32` and `readBytes` to the module. */
void RegisterEvaluate(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
