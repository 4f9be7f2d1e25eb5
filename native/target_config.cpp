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

std::optional<gemma4::ExpertsConfig> Experts(const Napi::Value& value) {
  if (value.IsUndefined()) return std::nullopt;
  if (!value.IsObject()) Fail("experts", "an object");
  const Napi::Object object = value.As<Napi::Object>();
  return gemma4::ExpertsConfig{.count = Integer(object, "count"),
                               .top_k = Integer(object, "topK"),
                               .intermediate_size = Integer(object, "intermediateSize")};
}

std::vector<float> Frequencies(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    Fail("inverseFrequencies", "Float32Arrays");
  }
  const auto values = value.As<Napi::Float32Array>();
  return {values.Data(), values.Data() + values.ElementLength()};
}

Napi::Object ConfigObject(const Napi::Value& value) {
  if (!value.IsObject()) throw std::invalid_argument("target config: expected an object");
  return value.As<Napi::Object>();
}

}  // namespace

Config ParseTargetConfig(const Napi::Value& value) {
  const Napi::Object object = ConfigObject(value);
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
  config.experts = Experts(object.Get("experts"));
  const Napi::Object frequencies = Member(object, "inverseFrequencies");
  for (LayerType type : gemma4::kAllLayerTypes) {
    config.inverse_frequencies[gemma4::index(type)] = Frequencies(frequencies.Get(gemma4::name(type)));
  }
  return config;
}

gemma4::Quantizations ParseQuantization(const Napi::Value& value) {
  const Napi::Value member = ConfigObject(value).Get("quantization");
  gemma4::Quantizations result;
  if (member.IsUndefined()) return result;
  if (!member.IsObject()) Fail("quantization", "an object");
  const Napi::Object by_module = member.As<Napi::Object>();
  const Napi::Array names = by_module.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    const Napi::Object object = Member(by_module, name.c_str());
    const Napi::Value mode_name = object.Get("mode");
    const auto mode =
        kernels::quantization_mode(mode_name.IsString() ? mode_name.As<Napi::String>().Utf8Value() : "");
    if (!mode) Fail("mode", "affine, mxfp4, mxfp8 or nvfp4");
    result.emplace(name, gemma4::Quantization{.group_size = Integer(object, "groupSize"),
                                              .bits = Integer(object, "bits"),
                                              .mode = *mode});
  }
  return result;
}

}  // namespace mlx_gemma
