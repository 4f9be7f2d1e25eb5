// NativeTargetConfig of src/mlx/native-target.ts → gemma4::Config.
#pragma once

#include <napi.h>

#include "gemma4/config.h"
#include "gemma4/weights.h"

namespace mlx_gemma {

/** Reads every property; throws std::invalid_argument for one that is missing or of another type. */
gemma4::Config ParseTargetConfig(const Napi::Value& value);

/** How the modules of the same config are packed; empty where it says nothing of it. Throws likewise. */
gemma4::Quantizations ParseQuantization(const Napi::Value& value);

}  // namespace mlx_gemma
