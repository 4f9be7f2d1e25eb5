#include "gemma4/attention.h"

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

/** Gemma 4 does not divide the scores by sqrt(head_dim): q_norm and k_norm set their size. */
constexpr float kScale = 1.0f;

/** (1, T, n, d) → (1, n, T, d), a view, and back. */
array swap_heads(const array& x) { return mx::transpose(x, {0, 2, 1, 3}); }

}  // namespace

std::optional<Attention::KeysValues> Attention::make_keys_values(const Config& config, int layer,
                                                                 const Weights& weights,
                                                                 const std::string& name) {
  if (!config.is_producer(layer)) return std::nullopt;
  const LayerConfig& own = config.layers[layer];
  const int size = own.num_kv_heads * own.head_dim;
  std::optional<Linear> v_proj;
  if (!own.key_equals_value) v_proj.emplace(weights, name + ".v_proj", config.hidden_size, size);
  return KeysValues{Linear(weights, name + ".k_proj", config.hidden_size, size), std::move(v_proj),
                    RmsNorm(weights, name + ".k_norm", own.head_dim, config.rms_norm_eps),
                    RmsNorm(config.rms_norm_eps)};
}

Attention::Attention(const Config& config, int layer, const Weights& weights, const std::string& name,
                     const Rope& rope)
    : num_heads_(config.num_heads),
      num_kv_heads_(config.layers[layer].num_kv_heads),
      head_dim_(config.layers[layer].head_dim),
      window_(config.layers[layer].type == LayerType::kSliding ? config.sliding_window : 0),
      rope_(rope),
      q_proj_(weights, name + ".q_proj", config.hidden_size, num_heads_ * head_dim_),
      q_norm_(weights, name + ".q_norm", head_dim_, config.rms_norm_eps),
      kv_(make_keys_values(config, layer, weights, name)),
      o_proj_(weights, name + ".o_proj", num_heads_ * head_dim_, config.hidden_size) {}

array Attention::normed_heads(const array& x, int heads, const RmsNorm& norm) const {
  const int length = x.shape(1);
  // One token: the axes may be swapped by name alone, which saves a node.
  if (length == 1) return norm(mx::reshape(x, {1, heads, 1, head_dim_}));
  return swap_heads(norm(mx::reshape(x, {1, length, heads, head_dim_})));
}

void Attention::write(const array& x, int position, KvCache& cache) const {
  const array raw_keys = kv_->k_proj(x);                                                   // (1, T, kvh * d)
  const array raw_values = kv_->v_proj ? (*kv_->v_proj)(x) : raw_keys;                     // (1, T, kvh * d)
  const array keys = rope_(normed_heads(raw_keys, num_kv_heads_, kv_->k_norm), position);  // (1, kvh, T, d)
  const array values = normed_heads(raw_values, num_kv_heads_, kv_->v_norm);               // (1, kvh, T, d)
  cache.write(keys, values);
}

array Attention::operator()(const array& x, int position, KvCache& cache) const {
  const int length = x.shape(1);
  const array q = rope_(normed_heads(q_proj_(x), num_heads_, q_norm_), position);  // (1, heads, T, d)
  const KvView& seen = cache.visible(length);                                      // (1, kvh, S, d)
  // Given for one token too, which sees all of its view: where the view starts decides how sums are grouped.
  const kernels::AttentionMask mask{position, window_, seen.first_position};
  const array mixed = kernels::attention(q, seen.keys, seen.values, kScale, mask);  // (1, heads, T, d)
  const array joined = length == 1 ? mixed : swap_heads(mixed);  // (1, T, heads, d), for one token by name
  return o_proj_(mx::reshape(joined, {1, length, num_heads_ * head_dim_}));
}

}  // namespace mlx_gemma::gemma4
