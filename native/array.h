// The JavaScript face of mlx::core::array: NativeArray of src/mlx/native-array.ts.
#pragma once

#include <napi.h>

#include "mlx/array.h"
#include "release.h"

namespace mlx_gemma {

/** Defines the class; called once for each environment. */
void RegisterArray(Napi::Env env, Napi::Object exports);

/** A new JavaScript handle on `array`. Its bytes are told to V8. */
Napi::Value WrapArray(Napi::Env env, mlx::core::array array);

/** The same for memory that its owner tells V8 of: to hear of a cache with every handle would make it collect
 * at every step. */
Napi::Value WrapOwned(Napi::Env env, mlx::core::array array);

/** The array behind a handle; null for anything else, or a disposed handle. */
const mlx::core::array* FindArray(const Napi::Value& value);

/** The array behind a handle. @throws std::invalid_argument for anything else, or a disposed handle. */
const mlx::core::array& UnwrapArray(const Napi::Value& value);

/** A dtype by its name in native-array.ts. @throws std::invalid_argument for other names. */
mlx::core::Dtype ParseDtype(const Napi::Value& value);

/** A shape from an array of numbers. @throws std::invalid_argument when it is none. */
mlx::core::Shape ParseShape(const Napi::Value& value);

}  // namespace mlx_gemma
