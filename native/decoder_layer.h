// A layer of the drafter's, whose weights JavaScript hands over once.
#pragma once

#include <napi.h>

namespace mlx_gemma {

/** Adds the class `DecoderLayer` to the module. */
void RegisterDecoderLayer(Napi::Env env, Napi::Object exports);

}  // namespace mlx_gemma
