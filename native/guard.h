// Every N-API entry runs inside Guarded: MLX reports errors as C++ exceptions, and an uncaught one would
// abort Node.
#pragma once

#include <napi.h>

#include <exception>
#include <utility>

namespace mlx_gemma {

/** Runs an entry's body: whatever is thrown inside becomes a JavaScript error. */
template <typename F>
auto Guarded(Napi::Env env, F&& body) {
  try {
    return std::forward<F>(body)();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  } catch (...) {
    throw Napi::Error::New(env, "unknown native error");
  }
}

}  // namespace mlx_gemma
