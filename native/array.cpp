#include "array.h"

#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "environment.h"
#include "guard.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

constexpr napi_type_tag kArrayTag = {0x6d6c7867656d6d61, 0x6172726179000001};

struct DtypeName {
  const char* name;
  mx::Dtype dtype;
};

const DtypeName kDtypes[] = {{"bfloat16", mx::bfloat16}, {"float16", mx::float16}, {"float32", mx::float32},
                             {"int32", mx::int32},       {"int64", mx::int64},     {"uint32", mx::uint32},
                             {"uint8", mx::uint8},       {"bool", mx::bool_}};

const char* NameOf(mx::Dtype dtype) {
  for (const DtypeName& entry : kDtypes) {
    if (entry.dtype == dtype) return entry.name;
  }
  return "other";
}

/** Arrays that were let go of during an evaluation. Process-wide, as evaluations are. */
struct Releases {
  std::mutex mutex;
  int holds = 0;
  std::vector<mx::array> waiting;
};

Releases& releases() {
  static auto* instance = new Releases;  // Never destroyed: handles may be finalized at exit.
  return *instance;
}

/** What the next constructor call wraps; set only while WrapArray makes it. */
thread_local std::optional<mx::array> making;

class Array : public Napi::ObjectWrap<Array> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "NativeArray",
        {InstanceAccessor<&Array::Shape>("shape"), InstanceAccessor<&Array::Dtype>("dtype"),
         InstanceAccessor<&Array::Nbytes>("nbytes"), InstanceAccessor<&Array::Disposed>("disposed"),
         InstanceMethod<&Array::Dispose>("dispose")});
  }

  explicit Array(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Array>(info) {
    if (!making) throw Napi::TypeError::New(info.Env(), "NativeArray has no constructor");
    array_ = std::exchange(making, std::nullopt);
    Value().TypeTag(&kArrayTag);
    reported_ = static_cast<int64_t>(array_->nbytes());
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), reported_);
    ++Environment::Of(info.Env()).live_arrays;
  }

  void Finalize(Napi::Env env) override { Free(env); }

  const mx::array& Get() const {
    if (!array_) throw std::invalid_argument("the array is disposed");
    return *array_;
  }

 private:
  Napi::Value Shape(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      const mx::Shape& shape = Get().shape();
      Napi::Array result = Napi::Array::New(info.Env(), shape.size());
      for (uint32_t i = 0; i < shape.size(); ++i) result.Set(i, Napi::Number::New(info.Env(), shape[i]));
      return result;
    });
  }

  Napi::Value Dtype(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] { return Napi::String::New(info.Env(), NameOf(Get().dtype())); });
  }

  Napi::Value Nbytes(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(),
                   [&] { return Napi::Number::New(info.Env(), static_cast<double>(Get().nbytes())); });
  }

  Napi::Value Disposed(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), !array_); }

  void Dispose(const Napi::CallbackInfo& info) { Free(info.Env()); }

  void Free(Napi::Env env) {
    if (!array_) return;
    ReleaseArray(std::move(*array_));
    array_.reset();
    Napi::MemoryManagement::AdjustExternalMemory(env, -reported_);
    if (auto* environment = env.GetInstanceData<Environment>()) --environment->live_arrays;
  }

  std::optional<mx::array> array_;
  int64_t reported_ = 0;
};

}  // namespace

ReleaseHold::ReleaseHold() {
  std::lock_guard lock(releases().mutex);
  ++releases().holds;
}

ReleaseHold::~ReleaseHold() {
  std::vector<mx::array> released;
  std::lock_guard lock(releases().mutex);
  if (--releases().holds == 0) released.swap(releases().waiting);
}

void ReleaseArray(mx::array array) {
  Releases& r = releases();
  std::lock_guard lock(r.mutex);
  if (r.holds > 0) r.waiting.push_back(std::move(array));
}

void RegisterArray(Napi::Env env) { Environment::Of(env).array_class = Napi::Persistent(Array::Define(env)); }

Napi::Value WrapArray(Napi::Env env, mx::array array) {
  making = std::move(array);
  return Environment::Of(env).array_class.New({});
}

const mx::array& UnwrapArray(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kArrayTag)) {
    throw std::invalid_argument("expected an array of this addon");
  }
  return Array::Unwrap(value.As<Napi::Object>())->Get();
}

mx::Dtype ParseDtype(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (const DtypeName& entry : kDtypes) {
    if (name == entry.name) return entry.dtype;
  }
  throw std::invalid_argument("unknown dtype \"" + name + "\"");
}

mx::Shape ParseShape(const Napi::Value& value) {
  if (!value.IsArray()) throw std::invalid_argument("expected a list of numbers");
  const auto list = value.As<Napi::Array>();
  mx::Shape shape;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value entry = list.Get(i);
    if (!entry.IsNumber()) throw std::invalid_argument("expected a list of numbers");
    shape.push_back(entry.As<Napi::Number>().Int32Value());
  }
  return shape;
}

}  // namespace mlx_gemma
