#include "gemma4/config.h"

#include <stdexcept>

namespace mlx_gemma::gemma4 {

namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("target config: " + message);
}

void check_layer(const Config& config, int i) {
  const LayerConfig& layer = config.layers[i];
  const std::string where = "layer " + std::to_string(i) + ": ";
  require(layer.head_dim > 0 && layer.head_dim % 2 == 0, where + "head_dim must be positive and even");
  require(layer.num_kv_heads > 0 && config.num_heads % layer.num_kv_heads == 0,
          where + "the number of heads must be a multiple of the number of K/V heads");
  require(layer.intermediate_size > 0, where + "intermediate_size must be positive");
  require(layer.type != LayerType::kSliding || config.sliding_window > 0,
          where + "a sliding layer needs a sliding_window");
  const size_t pairs = config.inverse_frequencies[index(layer.type)].size();
  require(pairs == static_cast<size_t>(layer.head_dim / 2),
          where + "needs head_dim / 2 inverse frequencies, found " + std::to_string(pairs));
  require(layer.kv_source >= 0 && layer.kv_source <= i, where + "kv_source must be this layer or one before");
  const LayerConfig& source = config.layers[layer.kv_source];
  require(source.kv_source == layer.kv_source, where + "kv_source owns no K/V");
  require(source.type == layer.type && source.head_dim == layer.head_dim &&
              source.num_kv_heads == layer.num_kv_heads,
          where + "kv_source differs in type, head_dim or K/V heads");
}

}  // namespace

const char* name(LayerType type) { return type == LayerType::kFull ? "full_attention" : "sliding_attention"; }

int Config::last_producer() const {
  int last = 0;
  for (int i = 0; i < num_layers(); ++i) {
    if (is_producer(i)) last = i;
  }
  return last;
}

std::optional<int> Config::last_producer(LayerType type) const {
  std::optional<int> last;
  for (int i = 0; i < num_layers(); ++i) {
    if (layers[i].type == type && is_producer(i)) last = i;
  }
  return last;
}

void Config::check() const {
  require(vocab_size > 0, "vocab_size must be positive");
  require(hidden_size > 0, "hidden_size must be positive");
  require(num_heads > 0, "num_heads must be positive");
  require(hidden_size_per_layer_input >= 0, "hidden_size_per_layer_input must not be negative");
  require(rms_norm_eps > 0, "rms_norm_eps must be positive");
  require(final_logit_softcapping >= 0, "final_logit_softcapping must not be negative");
  require(!layers.empty(), "there must be at least one layer");
  if (experts) {
    require(experts->count > 0, "num_experts must be positive");
    require(experts->top_k > 0 && experts->top_k <= experts->count,
            "top_k_experts must be from 1 to num_experts");
    require(experts->intermediate_size > 0, "moe_intermediate_size must be positive");
  }
  for (int i = 0; i < num_layers(); ++i) check_layer(*this, i);
}

}  // namespace mlx_gemma::gemma4
