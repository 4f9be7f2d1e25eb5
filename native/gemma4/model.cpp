#include "gemma4/model.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

/** (1, T, n) → (1, 1, n) */
array last_row(const array& x) { return mx::slice(x, {0, x.shape(1) - 1, 0}, {1, x.shape(1), x.shape(2)}); }

/** (1, T, n) → (1, rows, n) */
array first_rows(const array& x, int rows) { return mx::slice(x, {0, 0, 0}, {1, rows, x.shape(2)}); }

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

Caches::Caches(const Config& config, int max_block, Dtype dtype) : max_block_(max_block) {
  if (max_block < 1) throw std::invalid_argument("maxBlock must be at least 1");
  slots_.resize(config.layers.size());
  for (int i = 0; i < config.num_layers(); ++i) {
    const LayerConfig& layer = config.layers[i];
    if (config.is_producer(i)) {
      slots_[i] = static_cast<int>(caches_.size());
      exported_slots_[index(layer.type)] = slots_[i];
      const int window = layer.type == LayerType::kSliding ? config.sliding_window : 0;
      caches_.emplace_back(window, max_block, layer.num_kv_heads, layer.head_dim, dtype);
    } else {
      slots_[i] = slots_[layer.kv_source];
    }
  }
}

void Caches::begin_step(int rows) {
  for (KvCache& cache : caches_) cache.reserve(rows);
  last_tokens_ = 0;
}

void Caches::commit(int tokens) {
  for (KvCache& cache : caches_) cache.commit(tokens);
  position_ += tokens;
  last_tokens_ += tokens;
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

void Caches::mark() {
  for (KvCache& cache : caches_) cache.mark();
}

void Caches::rewind(int position) {
  if (position < 0 || position > position_) {
    throw std::invalid_argument("rewind(" + std::to_string(position) + "): there are " +
                                std::to_string(position_) + " tokens");
  }
  const bool held = std::all_of(caches_.begin(), caches_.end(),
                                [&](const KvCache& cache) { return cache.holds(position); });
  for (KvCache& cache : caches_) held ? cache.rewind(position) : cache.clear();
  position_ = held ? position : 0;
  last_tokens_ = 0;
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
      dtype_(weights.dtype()),
      last_producer_(config_.last_producer()),
      embed_tokens_(weights, "embed_tokens", config_.vocab_size, config_.hidden_size,
                    std::sqrt(static_cast<double>(config_.hidden_size))),
      norm_(weights, "norm", config_.hidden_size, config_.rms_norm_eps) {
  if (config_.hidden_size_per_layer_input > 0) per_layer_inputs_.emplace(config_, weights);
  for (LayerType type : kAllLayerTypes) {
    const std::vector<float>& frequencies = config_.inverse_frequencies[index(type)];
    if (!frequencies.empty()) ropes_[index(type)].emplace(frequencies);
  }
  layers_.reserve(config_.layers.size());
  for (int i = 0; i < config_.num_layers(); ++i) {
    layers_.emplace_back(config_, i, weights);
  }
}

array Model::head(const array& last_hidden) const {
  const array logits = embed_tokens_.as_linear(last_hidden);  // (1, T', vocab)
  const float cap = config_.final_logit_softcapping;
  return cap > 0 ? kernels::softcap(logits, cap) : logits;
}

Model::TypeSteps Model::type_steps(int position, int rows, bool fixed_size) const {
  TypeSteps steps;
  for (LayerType type : kAllLayerTypes) {
    const auto& rope = ropes_[index(type)];
    if (!rope) continue;
    TypeStep step{rope->table(position, rows, dtype()), {}};
    const int window = type == LayerType::kSliding ? config_.sliding_window : 0;
    if (fixed_size) step.groups = kernels::key_groups(position, rows, window);
    steps[index(type)] = std::move(step);
  }
  return steps;
}

std::optional<Output> Model::forward(const array& tokens, Caches& caches, Rows rows) const {
  check_tokens(tokens);
  const int step_rows = kernels::step_rows();
  if (step_rows > 0 && rows == Rows::kAll && tokens.shape(1) <= caches.max_block()) {
    return fixed_steps(tokens, caches, step_rows);
  }
  caches.begin_step(tokens.shape(1));
  return pass(tokens, caches, rows, std::nullopt);
}

Output Model::fixed_steps(const array& tokens, Caches& caches, int rows) const {
  const int length = tokens.shape(1), passes = (length + rows - 1) / rows;
  // For all passes at once: what the first one's tokens see must outlive the last one, for they may be
  // dropped.
  caches.begin_step(passes * rows);
  std::vector<array> logits, hidden;
  for (int begin = 0; begin < length; begin += rows) {
    const int kept = std::min(rows, length - begin);
    const array own = mx::slice(tokens, {0, begin}, {1, begin + kept});
    const array padded = mx::pad(own, {{0, 0}, {0, rows - kept}});
    const std::optional<Output> output = pass(padded, caches, Rows::kAll, kept);
    logits.push_back(first_rows(output->logits, kept));
    hidden.push_back(first_rows(output->last_hidden, kept));
  }
  if (logits.size() == 1) return {logits[0], hidden[0]};
  return {mx::concatenate(logits, 1), mx::concatenate(hidden, 1)};
}

std::optional<Output> Model::pass(const array& tokens, Caches& caches, Rows rows,
                                  std::optional<int> kept) const {
  const int length = tokens.shape(1), position = caches.position();
  array h = embed_tokens_(tokens);  // (1, T, H)
  std::optional<array> per_layer;   // (1, T, L * P)
  if (per_layer_inputs_) per_layer = (*per_layer_inputs_)(tokens, h);
  TypeSteps steps = type_steps(position, length, kept.has_value());

  for (int i = 0; i < config_.num_layers(); ++i) {
    const Layer& layer = layers_[i];
    KvCache& cache = caches.of_layer(i);
    const std::optional<TypeStep>& step = steps[index(config_.layers[i].type)];
    // Once all K/V of the step is written, only the rows that were asked for are needed.
    const bool narrow = i == last_producer_ && rows != Rows::kAll && (rows == Rows::kNone || length > 1);
    if (narrow) layer.write(h, *step, cache);
    if (narrow && rows == Rows::kNone) {
      caches.commit(length);
      return std::nullopt;
    }
    if (narrow) {
      h = last_row(h);  // (1, 1, H)
      if (per_layer) per_layer = last_row(*per_layer);
      steps = type_steps(position + length - 1, 1, false);
    }
    OwnInput own_input;
    if (per_layer) own_input = kernels::PerLayerRows{*per_layer, i};
    h = narrow ? layer.read(h, own_input, *step, cache) : layer(h, own_input, *step, cache);
  }
  caches.commit(kept.value_or(length));
  const array last_hidden = norm_(h);  // (1, T', H)
  return Output{head(last_hidden), last_hidden};
}

}  // namespace mlx_gemma::gemma4
