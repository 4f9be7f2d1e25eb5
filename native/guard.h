// Every N-API entry runs inside Guarded: MLX reports errors as C++ exceptions, and an uncaught one would
// abort Node.
#pragma once

#include <napi.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace mlx_gemma {

/** Throws std::invalid_argument "this is not <what>" unless `this` of a call was tagged so. */
inline void CheckThis(const Napi::CallbackInfo& info, const napi_type_tag& tag, const char* what) {
  if (!info.This().As<Napi::Object>().CheckTypeTag(&tag)) {
    throw std::invalid_argument(std::string("this is not ") + what);
  }
}

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
