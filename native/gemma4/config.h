// What a Gemma 4 text model is made of, with nothing left to guess.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace mlx_gemma::gemma4 {

/** The two kinds of attention; also indexes what there is one of for each kind. */
enum class LayerType { kFull = 0, kSliding = 1 };
constexpr int kLayerTypes = 2;
constexpr std::array<LayerType, kLayerTypes> kAllLayerTypes = {LayerType::kFull, LayerType::kSliding};

/** The checkpoint's word: "full_attention" or "sliding_attention". */
const char* name(LayerType type);
inline int index(LayerType type) { return static_cast<int>(type); }

/** One decoder layer. */
struct LayerConfig {
  LayerType type = LayerType::kFull;
  int head_dim = 0;
  int num_kv_heads = 0;
  int intermediate_size = 0;
  /** The layer whose K/V this layer reads: itself (a producer), or the last producer of its type before it.
   */
  int kv_source = 0;
  /** No v_proj: the values are the normed raw key projection. */
  bool key_equals_value = false;
};

/** The mixture of experts that every layer has beside its dense MLP. */
struct ExpertsConfig {
  /** num_experts */
  int count = 0;
  /** top_k_experts: those that a token goes through. */
  int top_k = 0;
  /** moe_intermediate_size */
  int intermediate_size = 0;
};

/** The text model. Names are those of config.json. */
struct Config {
  int vocab_size = 0;
  int hidden_size = 0;
  int num_heads = 0;
  /** 0: the model has no per-layer inputs. */
  int hidden_size_per_layer_input = 0;
  float rms_norm_eps = 1e-6f;
  /** Keys that a query of a sliding layer sees, its own among them. */
  int sliding_window = 0;
  /** 0: none. */
  float final_logit_softcapping = 0;
  std::vector<LayerConfig> layers;
  /** Absent: no layer has experts. */
  std::optional<ExpertsConfig> experts;
  /** By index(LayerType): head_dim / 2 values; empty where the model has no layer of that type. */
  std::array<std::vector<float>, kLayerTypes> inverse_frequencies;

  int num_layers() const { return static_cast<int>(layers.size()); }
  bool is_producer(int layer) const { return layers[layer].kv_source == layer; }
  /** The last layer that owns K/V: what lies past it needs no other position than those asked for. */
  int last_producer() const;
  /** The last layer of `type` that owns K/V, if any: what a drafter reads. */
  std::optional<int> last_producer(LayerType type) const;

  /** Throws std::invalid_argument where the values contradict each other. */
  void check() const;
};

}  // namespace mlx_gemma::gemma4
