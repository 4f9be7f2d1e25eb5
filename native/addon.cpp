// The module: NativeModule of src/mlx/native.ts.
#include <napi.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "array.h"
#include "decoder_layers.h"
#include "environment.h"
#include "evaluate.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "mlx/allocator.h"
#include "mlx/device.h"
#include "mlx/memory.h"
#include "mlx/stream.h"
#include "mlx/version.h"
#include "ops.h"
#include "read_tensors.h"
#include "target.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

bool OnCpu() { return mx::default_device() == mx::Device::cpu; }

Napi::Value Device(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::String::New(info.Env(), OnCpu() ? "cpu" : "gpu"); });
}

Napi::Value Kernels(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::String::New(info.Env(), kernels::name()); });
}

void SetThreads(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    if (!info[0].IsNumber()) throw std::invalid_argument("setThreads: expected a number");
    kernels::set_threads(info[0].As<Napi::Number>().Int32Value());
  });
}

Napi::Value Counters(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const Environment& environment = Environment::Of(info.Env());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("evaluations", static_cast<double>(environment.evaluations));
    result.Set("readbacks", static_cast<double>(environment.readbacks));
    result.Set("liveArrays", static_cast<double>(environment.arrays.size()));
    result.Set("cacheCopies", static_cast<double>(CacheCopies()));
    return result;
  });
}

Napi::Value Memory(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("active", static_cast<double>(mx::get_active_memory()));
    result.Set("cache", static_cast<double>(mx::get_cache_memory()));
    result.Set("peak", static_cast<double>(mx::get_peak_memory()));
    return result;
  });
}

void ResetPeakMemory(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [] { mx::reset_peak_memory(); });
}

void ClearCache(const Napi::CallbackInfo& info) {
  Guarded(info.Env(), [&] {
    mx::clear_cache();
#ifdef __GLIBC__
    // Reading a tokenizer.json of 32 MB leaves some 200 MB of freed pages in glibc's heap, which it keeps on
    // its own.
    malloc_trim(0);
#endif
  });
}

template <typename T, typename TypedArray>
Napi::Value From(const Napi::CallbackInfo& info, mx::Dtype dtype, napi_typedarray_type type,
                 const char* name) {
  return Guarded(info.Env(), [&] {
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != type) {
      throw std::invalid_argument(std::string(name) + ": expected a typed array of that type");
    }
    const auto values = info[0].As<TypedArray>();
    const mx::Shape shape = ParseShape(info[1]);
    size_t size = 1;
    for (int extent : shape) size *= static_cast<size_t>(extent);
    if (size != values.ElementLength())
      throw std::invalid_argument(std::string(name) + ": shape and length differ");
    return WrapArray(info.Env(), mx::array(values.Data(), shape, dtype));
  });
}

Napi::Value FromInt32(const Napi::CallbackInfo& info) {
  return From<int32_t, Napi::Int32Array>(info, mx::int32, napi_int32_array, "fromInt32");
}

Napi::Value FromFloat32(const Napi::CallbackInfo& info) {
  return From<float, Napi::Float32Array>(info, mx::float32, napi_float32_array, "fromFloat32");
}

/** An array of any dtype from its bytes, row-major, copied. */
Napi::Value FromBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      throw std::invalid_argument("fromBytes: expected a Uint8Array");
    }
    const auto bytes = info[0].As<Napi::Uint8Array>();
    const mx::Shape shape = ParseShape(info[1]);
    const mx::Dtype dtype = ParseDtype(info[2]);
    size_t size = mx::size_of(dtype);
    for (int extent : shape) size *= static_cast<size_t>(extent);
    if (size != bytes.ByteLength()) throw std::invalid_argument("fromBytes: shape and length differ");
    mx::allocator::Data data = mx::allocator::malloc(size);
    mx::allocator::Buffer buffer = data.buffer();
    if (size > 0) std::memcpy(buffer.raw_ptr(), bytes.Data(), size);
    return WrapArray(info.Env(), mx::array(std::move(data), shape, dtype));
  });
}

/** What MLX reads from the environment when it first needs it, where the user has not said otherwise. */
void ChooseMlxSettings() {
  // float32 is what it says: with TF32 products keep 10 bits.
  setenv("MLX_ENABLE_TF32", "0", 0);
  // cuDNN plans for 50 to 200 ms at every new number of keys, and takes no head of 256 or 512 anyway.
  setenv("MLX_CUDA_USE_CUDNN_SDPA", "0", 0);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return Guarded(env, [&] {
    ChooseMlxSettings();
    // MLX's build for CUDA can't even allocate then.
    if (mx::default_device() == mx::Device::gpu && mx::device_count(mx::Device::gpu) == 0) {
      throw std::runtime_error("it was built for CUDA, and no NVIDIA GPU with a driver was found");
    }
    // Evaluation happens on worker threads: a stream bound to this thread would be refused there.
    mx::set_default_stream(mx::new_thread_unsafe_stream(mx::default_device()));
    env.SetInstanceData(new Environment);
    RegisterArray(env, exports);
    RegisterOps(env, exports);
    RegisterEvaluate(env, exports);
    RegisterReadTensors(env, exports);
    RegisterDecoderLayers(env, exports);
    RegisterTarget(env, exports);
    exports.Set("version", MLX_GEMMA_VERSION);
    exports.Set("mlxVersion", mx::version());
    exports.Set("device", Napi::Function::New<Device>(env, "device"));
    exports.Set("kernels", Napi::Function::New<Kernels>(env, "kernels"));
    exports.Set("setThreads", Napi::Function::New<SetThreads>(env, "setThreads"));
    exports.Set("counters", Napi::Function::New<Counters>(env, "counters"));
    exports.Set("memory", Napi::Function::New<Memory>(env, "memory"));
    exports.Set("resetPeakMemory", Napi::Function::New<ResetPeakMemory>(env, "resetPeakMemory"));
    exports.Set("clearCache", Napi::Function::New<ClearCache>(env, "clearCache"));
    exports.Set("fromInt32", Napi::Function::New<FromInt32>(env, "fromInt32"));
    exports.Set("fromFloat32", Napi::Function::New<FromFloat32>(env, "fromFloat32"));
    exports.Set("fromBytes", Napi::Function::New<FromBytes>(env, "fromBytes"));
    return exports;
  });
}

}  // namespace

}  // namespace mlx_gemma

using mlx_gemma::Init;  // The macro pastes the name.
NODE_API_MODULE(mlx_gemma, Init)
