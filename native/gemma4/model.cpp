#include "gemma4/model.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

/** (1, T, n) → (1, 1, n) */
array last_row(const array& x) { return mx::slice(x, {0, x.shape(1) - 1, 0}, {1, x.shape(1), x.shape(2)}); }

Config checked(Config config) {
  config.check();
  return config;
}

void check_tokens(const array& tokens) {
  if (tokens.ndim() != 2 || tokens.shape(0) != 1 || tokens.shape(1) < 1) {
    throw std::invalid_argument("tokens must have shape (1, T) with T of at least 1");
  }
  if (tokens.dtype() != mx::int32) throw std::invalid_argument("tokens must be int32");
}

}  // namespace

Caches::Caches(const Config& config, int max_block) : max_block_(max_block) {
  if (max_block < 1) throw std::invalid_argument("maxBlock must be at least 1");
  slots_.resize(config.layers.size());
  for (int i = 0; i < config.num_layers(); ++i) {
    const LayerConfig& layer = config.layers[i];
    if (config.is_producer(i)) {
      slots_[i] = static_cast<int>(caches_.size());
      exported_slots_[index(layer.type)] = slots_[i];
      caches_.emplace_back(layer.type == LayerType::kSliding ? config.sliding_window : 0, max_block);
    } else {
      slots_[i] = slots_[layer.kv_source];
    }
  }
}

void Caches::commit(int tokens) {
  for (KvCache& cache : caches_) cache.commit();
  position_ += tokens;
  last_tokens_ = tokens;
}

void Caches::keep(int n) {
  const int dropped = last_tokens_ - n;
  if (n < 0 || dropped < 0) {
    throw std::invalid_argument("keep(" + std::to_string(n) + "): the last step had " +
                                std::to_string(last_tokens_) + " tokens");
  }
  if (dropped > max_block_) {
    throw std::invalid_argument("keep(" + std::to_string(n) + ") drops " + std::to_string(dropped) +
                                " tokens, more than maxBlock " + std::to_string(max_block_));
  }
  for (KvCache& cache : caches_) cache.drop(dropped);
  position_ -= dropped;
  last_tokens_ = n;
}

std::optional<KvView> Caches::exported(LayerType type) const {
  const std::optional<int>& slot = exported_slots_[index(type)];
  if (!slot) return std::nullopt;
  return caches_[*slot].exported();
}

std::vector<array> Caches::pending() const {
  std::vector<array> out;
  caches_.back().buffers(out);
  return out;
}

std::vector<array> Caches::buffers() const {
  std::vector<array> out;
  for (const KvCache& cache : caches_) cache.buffers(out);
  return out;
}

size_t Caches::nbytes() const {
  size_t sum = 0;
  for (const KvCache& cache : caches_) sum += cache.nbytes();
  return sum;
}

Model::Model(Config config, const Weights& weights)
    : config_(checked(std::move(config))),
      last_producer_(config_.last_producer()),
      embed_tokens_(weights, "embed_tokens", config_.vocab_size, config_.hidden_size,
                    std::sqrt(static_cast<double>(config_.hidden_size))),
      norm_(weights, "norm", config_.hidden_size, config_.rms_norm_eps) {
  if (config_.hidden_size_per_layer_input > 0) per_layer_inputs_.emplace(config_, weights);
  for (LayerType type : kAllLayerTypes) {
    const std::vector<float>& frequencies = config_.inverse_frequencies[index(type)];
    if (!frequencies.empty()) ropes_[index(type)] = std::make_unique<Rope>(frequencies);
  }
  layers_.reserve(config_.layers.size());
  for (int i = 0; i < config_.num_layers(); ++i) {
    layers_.emplace_back(config_, i, weights, *ropes_[index(config_.layers[i].type)]);
  }
  if (config_.final_logit_softcapping > 0) softcap_ = array(config_.final_logit_softcapping, weights.dtype());
}

array Model::head(const array& last_hidden) const {
  const array logits = embed_tokens_.as_linear(last_hidden);  // (1, T', vocab)
  if (!softcap_) return logits;
  return mx::multiply(mx::tanh(mx::divide(logits, *softcap_)), *softcap_);
}

std::optional<Output> Model::forward(const array& tokens, Caches& caches, Rows rows) const {
  check_tokens(tokens);
  const int length = tokens.shape(1);
  int position = caches.position();
  array h = embed_tokens_(tokens);  // (1, T, H)
  std::optional<array> per_layer;   // (1, T, L * P)
  if (per_layer_inputs_) per_layer = (*per_layer_inputs_)(tokens, h);

  for (int i = 0; i < config_.num_layers(); ++i) {
    const Layer& layer = layers_[i];
    KvCache& cache = caches.of_layer(i);
    array x = layer.normed(h);  // (1, T, H)
    if (config_.is_producer(i)) layer.write(x, position, cache);
    if (i == last_producer_ && rows == Rows::kNone) {
      caches.commit(length);
      return std::nullopt;
    }
    if (i == last_producer_ && rows == Rows::kLast && length > 1) {
      // All K/V of the step is written: from here on only the last position is needed.
      position += length - 1;
      h = last_row(h);  // (1, 1, H)
      x = last_row(x);
      if (per_layer) per_layer = last_row(*per_layer);
    }
    std::optional<array> own_input;  // (1, T', P)
    if (per_layer) own_input = per_layer_inputs_->of_layer(*per_layer, i);
    h = layer(h, x, own_input, position, cache);
  }
  caches.commit(length);
  const array last_hidden = norm_(h);  // (1, T', H)
  return Output{head(last_hidden), last_hidden};
}

}  // namespace mlx_gemma::gemma4
