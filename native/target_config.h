// NativeTargetConfig of src/mlx/native.ts → gemma4::Config.
#pragma once

#include <napi.h>

#include "gemma4/config.h"

namespace mlx_gemma {

/** Reads every property; throws std::invalid_argument for one that is missing or of another type. */
gemma4::Config ParseTargetConfig(const Napi::Value& value);

}  // namespace mlx_gemma
