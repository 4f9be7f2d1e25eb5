#include "target_config.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace mlx_gemma {

namespace {

using gemma4::Config;
using gemma4::LayerConfig;
using gemma4::LayerType;

[[noreturn]] void Fail(const std::string& name, const char* expected) {
  throw std::invalid_argument("target config: " + name + " must be " + expected);
}

double Number(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) Fail(name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int Integer(const Napi::Object& object, const char* name) {
  const double value = Number(object, name);
  if (value != std::floor(value) || std::fabs(value) > std::numeric_limits<int>::max()) {
    Fail(name, "an integer of 32 bits");
  }
  return static_cast<int>(value);
}

Napi::Object Member(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsObject()) Fail(name, "an object");
  return value.As<Napi::Object>();
}

LayerType Type(const Napi::Object& object) {
  const Napi::Value value = object.Get("type");
  const std::string text = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (LayerType type : gemma4::kAllLayerTypes) {
    if (text == gemma4::name(type)) return type;
  }
  Fail("type", "full_attention or sliding_attention");
}

LayerConfig ParseLayer(const Napi::Value& value) {
  if (!value.IsObject()) Fail("layers", "objects");
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Value key_equals_value = object.Get("keyEqualsValue");
  if (!key_equals_value.IsBoolean()) Fail("keyEqualsValue", "a boolean");
  return {.type = Type(object),
          .head_dim = Integer(object, "headDim"),
          .num_kv_heads = Integer(object, "numKvHeads"),
          .intermediate_size = Integer(object, "intermediateSize"),
          .kv_source = Integer(object, "kvSource"),
          .key_equals_value = key_equals_value.As<Napi::Boolean>().Value()};
}

std::vector<float> Frequencies(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    Fail("inverseFrequencies", "Float32Arrays");
  }
  const auto values = value.As<Napi::Float32Array>();
  return {values.Data(), values.Data() + values.ElementLength()};
}

}  // namespace

Config ParseTargetConfig(const Napi::Value& value) {
  if (!value.IsObject()) throw std::invalid_argument("target config: expected an object");
  const Napi::Object object = value.As<Napi::Object>();
  Config config;
  config.vocab_size = Integer(object, "vocabSize");
  config.hidden_size = Integer(object, "hiddenSize");
  config.num_heads = Integer(object, "numHeads");
  config.hidden_size_per_layer_input = Integer(object, "hiddenSizePerLayerInput");
  config.rms_norm_eps = static_cast<float>(Number(object, "rmsNormEps"));
  config.sliding_window = Integer(object, "slidingWindow");
  config.final_logit_softcapping = static_cast<float>(Number(object, "finalLogitSoftcapping"));
  const Napi::Value layers = object.Get("layers");
  if (!layers.IsArray()) Fail("layers", "an array");
  const auto list = layers.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) config.layers.push_back(ParseLayer(list.Get(i)));
  const Napi::Object frequencies = Member(object, "inverseFrequencies");
  for (LayerType type : gemma4::kAllLayerTypes) {
    config.inverse_frequencies[gemma4::index(type)] = Frequencies(frequencies.Get(gemma4::name(type)));
  }
  return config;
}

}  // namespace mlx_gemma
