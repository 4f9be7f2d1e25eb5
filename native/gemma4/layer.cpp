#include "gemma4/layer.h"

#include <string>

#include "gemma4/attention.h"
#include "gemma4/feed_forward.h"

namespace mlx_gemma::gemma4 {

namespace {

std::string layer_name(int index) { return "layers." + std::to_string(index); }

}  // namespace

Layer::Layer(const Config& config, int index, const Weights& weights)
    : weights_{attention_layer(config, index, weights, layer_name(index)),
               feed_forward_layer(config, index, weights, layer_name(index))} {}

array Layer::operator()(const array& h, const OwnInput& per_layer, const TypeStep& step,
                        KvCache& cache) const {
  if (!step.groups.empty()) {
    return kernels::composed::feed_forward_block(grouped(h, step, cache), weights_.feed_forward(), per_layer);
  }
  if (!weights_.attention().kv) return read(h, per_layer, step, cache);
  const auto [output, keys, values] =
      kernels::decoder_layer(h, weights_, step.rope_table, cache.current(), per_layer);
  cache.wrote(keys, values, h.shape(1));
  return output;
}

array Layer::grouped(const array& h, const TypeStep& step, KvCache& cache) const {
  const auto [attended, keys, values] = kernels::composed::attention_block(
      h, weights_.attention(), step.rope_table, cache.current(), step.groups);
  if (weights_.attention().kv) cache.wrote(keys, values, h.shape(1));
  return attended;
}

void Layer::write(const array& h, const TypeStep& step, KvCache& cache) const {
  const auto [keys, values] =
      kernels::write_keys_values(h, weights_.attention(), step.rope_table, cache.current());
  cache.wrote(keys, values, h.shape(1));
}

array Layer::read(const array& h, const OwnInput& per_layer, const TypeStep& step, KvCache& cache) const {
  return kernels::decoder_layer(h, weights_, step.rope_table, cache.visible(h.shape(1)), per_layer);
}

}  // namespace mlx_gemma::gemma4
