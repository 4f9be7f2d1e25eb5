// The N-API face of the text model: NativeTarget and NativeSession of src/mlx/native-target.ts.
#pragma once

#include <napi.h>

#include <cstdint>

namespace mlx_gemma {

/** Adds `createTarget` to the module and registers its classes for this JavaScript environment. */
void RegisterTarget(Napi::Env env, Napi::Object exports);

/** For `counters().cacheCopies`: K/V writes in this process that copied a buffer although it had room. */
int64_t CacheCopies();

}  // namespace mlx_gemma
