// How operations read what JavaScript gives them.
#pragma once

#include <napi.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "array.h"
#include "guard.h"
#include "kernels/blocks.h"
#include "kernels/sampling.h"

namespace mlx_gemma {

namespace mx = mlx::core;

/** NativeMatrix: an array, or a packed weight as an object. */
inline kernels::Matrix ParseMatrix(const Napi::Value& value) {
  if (const mx::array* plain = FindArray(value)) return *plain;
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Value scales = value.IsObject() ? object.Get("scales") : value;
  if (!value.IsObject() || scales.IsUndefined()) return UnwrapArray(value);  // which says what is wrong
  const Napi::Value biases = object.Get("biases");
  const auto mode = kernels::quantization_mode(object.Get("mode").ToString());
  if (!mode) throw std::invalid_argument("expected the mode affine, mxfp4, mxfp8 or nvfp4");
  return kernels::QuantizedWeight{
      .weight = UnwrapArray(object.Get("weight")),
      .scales = UnwrapArray(scales),
      .biases = biases.IsNull() ? std::nullopt : std::optional(UnwrapArray(biases)),
      .group_size = object.Get("groupSize").ToNumber(),
      .bits = object.Get("bits").ToNumber(),
      .mode = *mode};
}

/** What `parse` makes of each value of a list of `what`. */
template <class F>
std::vector<std::decay_t<std::invoke_result_t<F, Napi::Value>>> ParseList(const Napi::Value& value,
                                                                          const char* what, F&& parse) {
  if (!value.IsArray()) throw std::invalid_argument(std::string("expected a list of ") + what);
  const auto values = value.As<Napi::Array>();
  std::vector<std::decay_t<std::invoke_result_t<F, Napi::Value>>> result;
  for (uint32_t i = 0; i < values.Length(); ++i) result.push_back(parse(Napi::Value(values.Get(i))));
  return result;
}

/** One call's arguments, by place. Each reader throws std::invalid_argument for a value of another type. */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  const mx::array& array(size_t i) const { return UnwrapArray(info_[i]); }

  std::optional<mx::array> optional_array(size_t i) const {
    if (info_[i].IsNull()) return std::nullopt;
    return array(i);
  }

  std::vector<mx::array> arrays(size_t i) const { return ParseList(info_[i], "arrays", UnwrapArray); }

  double number(size_t i) const {
    if (!info_[i].IsNumber()) throw std::invalid_argument("expected a number");
    return info_[i].As<Napi::Number>().DoubleValue();
  }

  int integer(size_t i) const {
    const double value = number(i);
    const int result = info_[i].As<Napi::Number>().Int32Value();
    if (value != result) throw std::invalid_argument("expected an integer");
    return result;
  }

  bool flag(size_t i) const {
    if (!info_[i].IsBoolean()) throw std::invalid_argument("expected true or false");
    return info_[i].As<Napi::Boolean>();
  }

  mx::Shape shape(size_t i) const { return ParseShape(info_[i]); }

  kernels::Matrix matrix(size_t i) const { return ParseMatrix(info_[i]); }

  std::string text(size_t i) const {
    if (!info_[i].IsString()) throw std::invalid_argument("expected a string");
    return info_[i].As<Napi::String>();
  }

  mx::Dtype dtype(size_t i) const { return ParseDtype(info_[i]); }

  std::vector<kernels::DraftDistribution> distributions(size_t i) const {
    return ParseList(info_[i], "distributions", ParseDistribution);
  }

  /** Two uint32. */
  kernels::RandomKey key(size_t i) const { return ParseKey(info_[i]); }

  std::vector<kernels::RandomKey> keys(size_t i) const { return ParseList(info_[i], "keys", ParseKey); }

 private:
  /** NativeDistribution */
  static kernels::DraftDistribution ParseDistribution(const Napi::Value& value) {
    const Napi::Object one = value.ToObject();
    const Napi::Value tokens = one.Get("tokens");
    return {.probabilities = UnwrapArray(one.Get("probabilities")),
            .candidates = tokens.IsUndefined() ? std::nullopt : std::optional(UnwrapArray(tokens))};
  }

  static kernels::RandomKey ParseKey(const Napi::Value& value) {
    if (!value.IsArray()) throw std::invalid_argument("expected a key of two numbers");
    const auto list = value.As<Napi::Array>();
    const auto word = [&](uint32_t j) { return Napi::Value(list.Get(j)).ToNumber().Uint32Value(); };
    return {word(0), word(1)};
  }

  const Napi::CallbackInfo& info_;
};

/** One JavaScript function for each operation (a stateless lambda), without a lookup at call time. */
template <auto operation>
Napi::Value Call(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return WrapArray(info.Env(), operation(Arguments(info))); });
}

template <auto operation>
void Define(Napi::Object ops, const char* name) {
  ops.Set(name, Napi::Function::New<Call<operation>>(ops.Env(), name));
}

/** The same for an operation of several results: a list of arrays. */
template <auto operation>
Napi::Value CallList(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const std::vector<mx::array> results = operation(Arguments(info));
    Napi::Array list = Napi::Array::New(info.Env(), results.size());
    for (uint32_t i = 0; i < results.size(); ++i) list.Set(i, WrapArray(info.Env(), results[i]));
    return list;
  });
}

template <auto operation>
void DefineList(Napi::Object ops, const char* name) {
  ops.Set(name, Napi::Function::New<CallList<operation>>(ops.Env(), name));
}

}  // namespace mlx_gemma
