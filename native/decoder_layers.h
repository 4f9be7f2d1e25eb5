// The drafter's layers, whose weights JavaScript hands over once.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds the class `DecoderLayers` to the module. */
void RegisterDecoderLayers(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
