#include "array.h"

#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "environment.h"
#include "guard.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

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

}  // namespace

/** What a JavaScript object of the class wraps: the array, until it is disposed. */
struct ArrayHandle {
  mx::array array;
  int64_t reported;
  /** Null when the environment ended before the handle. */
  Environment* environment;
};

namespace {

/** Tells V8 of it; raw N-API, as this runs several hundred times for each token. */
void Report(napi_env env, int64_t change) {
  int64_t total;
  napi_adjust_external_memory(env, change, &total);
}

void Drop(napi_env env, ArrayHandle* handle) {
  if (handle->environment) handle->environment->arrays.erase(handle);
  Report(env, -handle->reported);
  ReleaseArray(std::move(handle->array));
  delete handle;
}

/** The handle that an object wraps; null for other values, foreign objects and disposed handles. */
ArrayHandle* HandleOf(Napi::Env env, napi_value value) {
  void* wrapped = nullptr;
  if (napi_unwrap(env, value, &wrapped) != napi_ok) return nullptr;
  auto* handle = static_cast<ArrayHandle*>(wrapped);
  return Environment::Of(env).arrays.contains(handle) ? handle : nullptr;
}

bool IsOfClass(const Napi::Value& value) {
  return value.IsObject() &&
         value.As<Napi::Object>().InstanceOf(Environment::Of(value.Env()).array_class.Value());
}

Napi::Value Shape(const Napi::CallbackInfo& info) {
  const mx::Shape& shape = UnwrapArray(info.This()).shape();
  Napi::Array result = Napi::Array::New(info.Env(), shape.size());
  for (uint32_t i = 0; i < shape.size(); ++i) result.Set(i, Napi::Number::New(info.Env(), shape[i]));
  return result;
}

Napi::Value Dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), NameOf(UnwrapArray(info.This()).dtype()));
}

Napi::Value Nbytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(UnwrapArray(info.This()).nbytes()));
}

Napi::Value Disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), HandleOf(info.Env(), info.This()) == nullptr);
}

void DisposeOne(Napi::Env env, napi_value object) {
  if (HandleOf(env, object) == nullptr) return;
  void* wrapped = nullptr;
  napi_remove_wrap(env, object, &wrapped);
  Drop(env, static_cast<ArrayHandle*>(wrapped));
}

Napi::Value Dispose(const Napi::CallbackInfo& info) {
  DisposeOne(info.Env(), info.This());
  return info.Env().Undefined();
}

/** disposeAll(arrays): one call for the many that a round leaves behind. */
Napi::Value DisposeAll(const Napi::CallbackInfo& info) {
  if (!info[0].IsArray()) throw std::invalid_argument("disposeAll: expected a list of arrays");
  const auto list = info[0].As<Napi::Array>();
  const uint32_t count = list.Length();
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(info.Env());
    napi_value entry = nullptr;
    if (napi_get_element(info.Env(), list, i, &entry) == napi_ok) DisposeOne(info.Env(), entry);
  }
  return info.Env().Undefined();
}

/** A member as N-API wants it. */
template <Napi::Value (*body)(const Napi::CallbackInfo&)>
napi_value Member(napi_env env, napi_callback_info raw) {
  try {
    const Napi::CallbackInfo info(env, raw);
    return Guarded(env, [&] { return body(info); });
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
    return nullptr;
  }
}

/** Makes an empty object, which counts as disposed: only WrapArray puts an array in. */
napi_value Construct(napi_env env, napi_callback_info info) {
  napi_value self = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, &self, nullptr);
  return self;
}

void Check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

}  // namespace

Environment::~Environment() {
  for (ArrayHandle* handle : arrays) handle->environment = nullptr;
}

void RegisterArray(Napi::Env env, Napi::Object exports) {
  const auto getter = [](const char* name, napi_callback body) {
    return napi_property_descriptor{name, nullptr, nullptr, body, nullptr, nullptr, napi_default, nullptr};
  };
  const napi_property_descriptor members[] = {
      getter("shape", Member<Shape>),
      getter("dtype", Member<Dtype>),
      getter("nbytes", Member<Nbytes>),
      getter("disposed", Member<Disposed>),
      {"dispose", nullptr, Member<Dispose>, nullptr, nullptr, nullptr, napi_default_method, nullptr}};
  napi_value defined = nullptr;
  Check(env, napi_define_class(env, "NativeArray", NAPI_AUTO_LENGTH, Construct, nullptr, std::size(members),
                               members, &defined));
  Environment::Of(env).array_class = Napi::Persistent(Napi::Function(env, defined));
  napi_value all = nullptr;
  Check(env, napi_create_function(env, "disposeAll", NAPI_AUTO_LENGTH, Member<DisposeAll>, nullptr, &all));
  exports.Set("disposeAll", Napi::Value(env, all));
}

namespace {

Napi::Value Wrap(Napi::Env env, mx::array array, int64_t bytes) {
  Environment& environment = Environment::Of(env);
  napi_value object = nullptr;
  Check(env, napi_new_instance(env, environment.array_class.Value(), 0, nullptr, &object));
  auto* handle = new ArrayHandle{std::move(array), bytes, &environment};
  const napi_finalize collect = [](napi_env gone, void* data, void*) {
    Drop(gone, static_cast<ArrayHandle*>(data));
  };
  if (napi_wrap(env, object, handle, collect, nullptr, nullptr) != napi_ok) {
    delete handle;
    throw Napi::Error::New(env);
  }
  environment.arrays.insert(handle);
  Report(env, bytes);
  return Napi::Value(env, object);
}

}  // namespace

Napi::Value WrapArray(Napi::Env env, mx::array array) {
  const auto bytes = static_cast<int64_t>(array.nbytes());
  return Wrap(env, std::move(array), bytes);
}

Napi::Value WrapOwned(Napi::Env env, mx::array array) { return Wrap(env, std::move(array), 0); }

const mx::array* FindArray(const Napi::Value& value) {
  const ArrayHandle* handle = HandleOf(value.Env(), value);
  return handle ? &handle->array : nullptr;
}

const mx::array& UnwrapArray(const Napi::Value& value) {
  if (const mx::array* array = FindArray(value)) return *array;
  throw std::invalid_argument(IsOfClass(value) ? "the array is disposed" : "expected an array of this addon");
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
