// Reading weights from files into arrays.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds readTensors of src/mlx/native.ts. */
void RegisterReadTensors(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
