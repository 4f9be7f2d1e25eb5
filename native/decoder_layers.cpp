#include "decoder_layers.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "arguments.h"
#include "array.h"
#include "guard.h"
#include "kernels/blocks.h"

namespace mlx_gemma {

namespace {

constexpr napi_type_tag kLayersTag = {0x6d6c7867656d6d61, 0x6465636f64657201};

Napi::Object ParseObject(const Napi::Value& value) {
  if (!value.IsObject()) throw std::invalid_argument("expected an object");
  return value.As<Napi::Object>();
}

kernels::AttentionLayer ParseAttention(const Napi::Object& layer) {
  return {.input_layernorm = UnwrapArray(layer.Get("inputLayernorm")),
          .q_proj = ParseMatrix(layer.Get("qProj")),
          .q_norm = UnwrapArray(layer.Get("qNorm")),
          .o_proj = ParseMatrix(layer.Get("oProj")),
          .post_attention_layernorm = UnwrapArray(layer.Get("postAttentionLayernorm")),
          .kv = std::nullopt,
          .heads = layer.Get("numHeads").ToNumber(),
          .eps = layer.Get("eps").ToNumber(),
          .scale = layer.Get("scale").ToNumber()};
}

kernels::FeedForwardLayer ParseFeedForward(const Napi::Object& layer) {
  return {.pre_feedforward_layernorm = UnwrapArray(layer.Get("preFeedforwardLayernorm")),
          .gate_proj = ParseMatrix(layer.Get("gateProj")),
          .up_proj = ParseMatrix(layer.Get("upProj")),
          .down_proj = ParseMatrix(layer.Get("downProj")),
          .post_feedforward_layernorm = UnwrapArray(layer.Get("postFeedforwardLayernorm")),
          .experts = nullptr,
          .per_layer_input = std::nullopt,
          .layer_scalar = UnwrapArray(layer.Get("layerScalar")),
          .eps = layer.Get("eps").ToNumber()};
}

/** NativeDecoderLayers. */
class DecoderLayers : public Napi::ObjectWrap<DecoderLayers> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "DecoderLayers",
                       {InstanceMethod<&DecoderLayers::Forward>("forward", napi_default_method),
                        InstanceMethod<&DecoderLayers::Dispose>("dispose", napi_default_method)});
  }

  explicit DecoderLayers(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DecoderLayers>(info) {
    Guarded(info.Env(), [&] {
      for (const Napi::Object& layer : ParseList(info[0], "layers", ParseObject)) {
        layers_.emplace_back(ParseAttention(ParseObject(layer.Get("attention"))),
                             ParseFeedForward(ParseObject(layer.Get("feedForward"))));
        which_.push_back(layer.Get("reads").ToNumber());
      }
      Value().TypeTag(&kLayersTag);
    });
  }

 private:
  Napi::Value Forward(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      CheckTag(info);
      if (layers_.empty()) throw std::logic_error("the layers are disposed");
      const auto reads = ParseList(info[1], "reads", ParseReads);
      return WrapArray(info.Env(), kernels::decoder_layers(UnwrapArray(info[0]), layers_, which_, reads));
    });
  }

  static kernels::LayerReads ParseReads(const Napi::Value& value) {
    const std::vector<mx::array> parts = ParseList(value, "arrays", UnwrapArray);
    if (parts.size() != 3) throw std::invalid_argument("expected a rope table, keys and values");
    return {parts[0], {parts[1], parts[2], std::nullopt}};
  }

  void Dispose(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      CheckTag(info);
      layers_.clear();
    });
  }

  static void CheckTag(const Napi::CallbackInfo& info) { CheckThis(info, kLayersTag, "decoder layers"); }

  std::vector<kernels::DecoderLayer> layers_;
  std::vector<int> which_;
};

}  // namespace

void RegisterDecoderLayers(Napi::Env env, Napi::Object exports) {
  exports.Set("DecoderLayers", DecoderLayers::Define(env));
}

}  // namespace mlx_gemma
