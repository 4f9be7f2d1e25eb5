#include "evaluate.h"

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "array.h"
#include "environment.h"
#include "guard.h"
#include "mlx/transforms.h"
#include "release.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

using Stages = std::vector<std::vector<mx::array>>;

class Evaluation : public Napi::AsyncWorker {
 public:
  Evaluation(Napi::Env env, Stages stages)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), stages_(std::move(stages)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

  /**
   * Begins when the environment's evaluations before it have ended. Those that wait do so here: in libuv's
   * pool each would hold one of the few threads that files, names and cryptography need, too.
   */
  void Enqueue() {
    auto& all = Environment::Of(Env()).evaluating;
    all.push_back(this);
    if (all.size() == 1) Queue();
  }

 protected:
  void Execute() override {
    try {
      const EvaluationTurn turn;
      auto before = std::chrono::steady_clock::now();
      // Each stage is on its way before one is waited for: its first operation follows the last of the stage
      // before.
      for (const std::vector<mx::array>& stage : stages_) {
        if (!stage.empty()) mx::async_eval(stage);
      }
      for (std::vector<mx::array>& stage : stages_) {
        for (mx::array& array : stage) array.wait();
        const auto now = stage.empty() ? before : std::chrono::steady_clock::now();
        milliseconds_.push_back(std::chrono::duration<double, std::milli>(now - before).count());
        before = now;
      }
      stages_.clear();  // Within the turn.
    } catch (const std::exception& error) {
      SetError(error.what());
    } catch (...) {
      SetError("unknown native error");
    }
  }

  /** On the JavaScript thread, also of an environment that ends. Destroys this. */
  void OnWorkComplete(Napi::Env env, napi_status status) override {
    auto& all = Environment::Of(env).evaluating;
    all.pop_front();
    if (!all.empty()) all.front()->Queue();
    Napi::AsyncWorker::OnWorkComplete(env, status);
  }

  void OnOK() override {
    Napi::Float64Array result = Napi::Float64Array::New(Env(), milliseconds_.size());
    for (size_t i = 0; i < milliseconds_.size(); ++i) result[i] = milliseconds_[i];
    deferred_.Resolve(result);
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Stages stages_;
  std::vector<double> milliseconds_;
};

Napi::Value Evaluate(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsArray()) throw std::invalid_argument("evaluate: expected a list of lists of arrays");
    Stages stages;
    const auto list = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const Napi::Value entry = list.Get(i);
      if (!entry.IsArray()) throw std::invalid_argument("evaluate: expected a list of lists of arrays");
      const auto arrays = entry.As<Napi::Array>();
      std::vector<mx::array>& stage = stages.emplace_back();
      for (uint32_t j = 0; j < arrays.Length(); ++j) stage.push_back(UnwrapArray(arrays.Get(j)));
    }
    ++Environment::Of(info.Env()).evaluations;
    auto* worker = new Evaluation(info.Env(), std::move(stages));
    const Napi::Promise promise = worker->Promise();
    worker->Enqueue();
    return promise;
  });
}

/** Copies an evaluated array in row-major order, whatever its strides. */
template <typename T>
void CopyOut(const mx::array& array, T* out) {
  const T* data = array.data<T>();
  if (array.flags().row_contiguous) {
    std::memcpy(out, data, array.size() * sizeof(T));
    return;
  }
  std::vector<int64_t> index(array.ndim(), 0);
  for (size_t n = 0; n < array.size(); ++n) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) offset += index[axis] * array.strides()[axis];
    out[n] = data[offset];
    for (size_t axis = index.size(); axis-- > 0;) {
      if (++index[axis] < array.shape(static_cast<int>(axis))) break;
      index[axis] = 0;
    }
  }
}

template <typename T, typename TypedArray>
Napi::Value Read(const Napi::CallbackInfo& info, mx::Dtype dtype, const char* name) {
  return Guarded(info.Env(), [&] {
    const mx::array& array = UnwrapArray(info[0]);
    if (array.dtype() != dtype)
      throw std::invalid_argument(std::string(name) + ": the array is of another dtype");
    if (!array.is_available()) throw std::logic_error(std::string(name) + ": the array is not evaluated");
    TypedArray result = TypedArray::New(info.Env(), array.size());
    CopyOut<T>(array, result.Data());
    ++Environment::Of(info.Env()).readbacks;
    return result;
  });
}

Napi::Value ReadInt32(const Napi::CallbackInfo& info) {
  return Read<int32_t, Napi::Int32Array>(info, mx::int32, "readInt32");
}

Napi::Value ReadFloat32(const Napi::CallbackInfo& info) {
  return Read<float, Napi::Float32Array>(info, mx::float32, "readFloat32");
}

/** The bytes of an evaluated array of any dtype, row-major. */
Napi::Value ReadBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const mx::array& array = UnwrapArray(info[0]);
    if (!array.is_available()) throw std::logic_error("readBytes: the array is not evaluated");
    Napi::Uint8Array result = Napi::Uint8Array::New(info.Env(), array.nbytes());
    switch (array.itemsize()) {
      case 1:
        CopyOut(array, result.Data());
        break;
      case 2:
        CopyOut(array, reinterpret_cast<uint16_t*>(result.Data()));
        break;
      case 4:
        CopyOut(array, reinterpret_cast<uint32_t*>(result.Data()));
        break;
      default:
        CopyOut(array, reinterpret_cast<uint64_t*>(result.Data()));
    }
    ++Environment::Of(info.Env()).readbacks;
    return result;
  });
}

}  // namespace

void RegisterEvaluate(Napi::Env env, Napi::Object exports) {
  exports.Set("evaluate", Napi::Function::New<Evaluate>(env, "evaluate"));
  exports.Set("readInt32", Napi::Function::New<ReadInt32>(env, "readInt32"));
  exports.Set("readFloat32", Napi::Function::New<ReadFloat32>(env, "readFloat32"));
  exports.Set("readBytes", Napi::Function::New<ReadBytes>(env, "readBytes"));
}

}  // namespace mlx_gemma
