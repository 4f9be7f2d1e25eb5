#include "gemma4/layer.h"

#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

std::string layer_name(int index, const char* part) {
  return "layers." + std::to_string(index) + (*part == '\0' ? "" : ".") + part;
}

}  // namespace

Layer::Layer(const Config& config, int index, const Weights& weights, const Rope& rope)
    : self_attn_(config, index, weights, layer_name(index, "self_attn"), rope),
      mlp_(weights, layer_name(index, "mlp"), config.hidden_size, config.layers[index].intermediate_size),
      input_layernorm_(weights, layer_name(index, "input_layernorm"), config.hidden_size,
                       config.rms_norm_eps),
      post_attention_layernorm_(weights, layer_name(index, "post_attention_layernorm"), config.hidden_size,
                                config.rms_norm_eps),
      pre_feedforward_layernorm_(weights, layer_name(index, "pre_feedforward_layernorm"), config.hidden_size,
                                 config.rms_norm_eps),
      post_feedforward_layernorm_(weights, layer_name(index, "post_feedforward_layernorm"),
                                  config.hidden_size, config.rms_norm_eps),
      layer_scalar_(weights.at(layer_name(index, "layer_scalar"), {1})) {
  if (config.experts) experts_.emplace(config, weights, layer_name(index, ""));
  if (config.hidden_size_per_layer_input > 0) per_layer_gate_.emplace(config, weights, layer_name(index, ""));
}

array Layer::operator()(const array& h, const array& x, const std::optional<array>& per_layer, int position,
                        KvCache& cache) const {
  array out = mx::add(h, post_attention_layernorm_(self_attn_(x, position, cache)));
  array fed = mlp_(pre_feedforward_layernorm_(out));
  if (experts_) fed = (*experts_)(fed, out);
  out = mx::add(out, post_feedforward_layernorm_(fed));
  if (per_layer_gate_) out = (*per_layer_gate_)(out, *per_layer);
  return mx::multiply(out, layer_scalar_);
}

}  // namespace mlx_gemma::gemma4
