#include "decoder_layer.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "arguments.h"
#include "array.h"
#include "guard.h"
#include "kernels/blocks.h"

namespace mlx_gemma {

namespace {

constexpr napi_type_tag kLayerTag = {0x6d6c7867656d6d61, 0x6465636f64657201};

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

/** NativeDecoderLayer. */
class DecoderLayer : public Napi::ObjectWrap<DecoderLayer> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "DecoderLayer",
                       {InstanceMethod<&DecoderLayer::Forward>("forward", napi_default_method),
                        InstanceMethod<&DecoderLayer::Dispose>("dispose", napi_default_method)});
  }

  explicit DecoderLayer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DecoderLayer>(info) {
    Guarded(info.Env(), [&] {
      weights_.emplace(ParseAttention(ParseObject(info[0])), ParseFeedForward(ParseObject(info[1])));
      Value().TypeTag(&kLayerTag);
    });
  }

 private:
  Napi::Value Forward(const Napi::CallbackInfo& info) {
    return Guarded(info.Env(), [&] {
      CheckTag(info);
      if (!weights_) throw std::logic_error("the layer is disposed");
      const Arguments a(info);
      const kernels::KeyRows seen{a.array(2), a.array(3), std::nullopt};
      return WrapArray(info.Env(),
                       kernels::decoder_layer(a.array(0), *weights_, a.array(1), seen, std::nullopt));
    });
  }

  void Dispose(const Napi::CallbackInfo& info) {
    Guarded(info.Env(), [&] {
      CheckTag(info);
      weights_.reset();
    });
  }

  static void CheckTag(const Napi::CallbackInfo& info) { CheckThis(info, kLayerTag, "a layer"); }

  std::optional<kernels::DecoderLayer> weights_;
};

}  // namespace

void RegisterDecoderLayer(Napi::Env env, Napi::Object exports) {
  exports.Set("DecoderLayer", DecoderLayer::Define(env));
}

}  // namespace mlx_gemma
