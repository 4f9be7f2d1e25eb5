// The text model: embeddings, layers, head; and the caches of one generation.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gemma4/config.h"
#include "gemma4/kv_cache.h"
#include "gemma4/layer.h"
#include "gemma4/per_layer_inputs.h"
#include "gemma4/rope.h"
#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/** Which rows of a step get logits and hidden. */
enum class Rows {
  kAll,
  /** The last position's; what lies past the last K/V producer runs for it alone. */
  kLast,
  /** None: the step only fills the caches. */
  kNone,
};

/** T' rows: T, or 1 for Rows::kLast. */
struct Output {
  /** (1, T', vocab), after the softcap. */
  array logits;
  /** (1, T', H), after the final norm: what a drafter gets. */
  array last_hidden;
};

/** K/V caches of one generation: one for each producer layer, all at the same position. */
class Caches {
 public:
  /** @param dtype of the keys and values: the model's */
  Caches(const Config& config, int max_block, Dtype dtype);

  /** Tokens that are processed and kept. */
  int position() const { return position_; }
  /** The cache that `layer` reads, its own or its source's. */
  KvCache& of_layer(int layer) { return caches_[slots_[layer]]; }
  /** Tokens that `keep` may drop: a block that is verified has no more. */
  int max_block() const { return max_block_; }
  /** From now on tokens are those of a new step, which writes `rows` in all, in one pass or in several. */
  void begin_step(int rows);
  /** Makes the first T rows that every producer has just written tokens of the step. */
  void commit(int tokens);
  /** Of the last step's T tokens keeps the first n; the others are never seen again. */
  void keep(int n);
  /** From now on `rewind` can come back to here. One mark at a time. */
  void mark();
  /**
   * Keeps the first `position` tokens, or none where the window before that position is gone from a sliding
   * layer. The last step must have been evaluated.
   */
  void rewind(int position);
  /** What a query at `position()` may see of the last producer of `type`; nothing if the model has none. */
  std::optional<KvView> exported(LayerType type) const;
  /**
   * What is to be evaluated with each step: the buffers of the last producer. Those of the others are on the
   * way to them, for every layer below reads its own.
   */
  std::vector<array> pending() const;
  /** Every buffer. */
  std::vector<array> buffers() const;
  size_t nbytes() const;

 private:
  int max_block_;
  int position_ = 0;
  int last_tokens_ = 0;
  std::vector<KvCache> caches_;
  /** Layer → index into caches_. */
  std::vector<int> slots_;
  std::array<std::optional<int>, kLayerTypes> exported_slots_;
};

/**
 * Gemma4ForCausalLM of modeling_gemma4.py, text only, batch 1. Immutable after construction: any number of
 * Caches may be at work on it. The weights should be evaluated before the first step is built, so that graphs
 * of several generations share evaluated arrays only.
 */
class Model {
 public:
  /** Throws std::invalid_argument when the config contradicts itself or a tensor is missing or of wrong
   * shape. */
  Model(Config config, const Weights& weights);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const Config& config() const { return config_; }
  /** Of activations. */
  Dtype dtype() const { return dtype_; }

  /** `embed_tokens[ids] * sqrt(H)`: ids int32 (1, T) → (1, T, H). */
  array embed(const array& tokens) const { return embed_tokens_(tokens); }

  /**
   * Builds the graph of T tokens at `caches.position()` and commits them to the caches. Reads no value of
   * `tokens`, int32 (1, T), which may be lazy. Nothing is given back for Rows::kNone: then evaluate
   * `caches.pending()`.
   *
   * Where MLX's own operations run, a block that is verified goes in steps of fixed size, padded: kernels
   * differ with the shapes, so that a row has the same bits in every block only if all blocks have one shape.
   *
   * Not to be called while a graph of the same caches is being evaluated.
   */
  std::optional<Output> forward(const array& tokens, Caches& caches, Rows rows) const;

 private:
  using TypeSteps = std::array<std::optional<TypeStep>, kLayerTypes>;

  array head(const array& last_hidden) const;
  /** By index(LayerType). */
  TypeSteps type_steps(int position, int rows, bool fixed_size) const;
  /** forward() in one pass. @param kept of a step of fixed size: how many of its tokens are not padding */
  std::optional<Output> pass(const array& tokens, Caches& caches, Rows rows, std::optional<int> kept) const;
  /** forward() in passes of `rows` rows. */
  Output fixed_steps(const array& tokens, Caches& caches, int rows) const;

  Config config_;
  Dtype dtype_;
  int last_producer_;
  Embedding embed_tokens_;
  std::optional<PerLayerInputs> per_layer_inputs_;
  /** By index(LayerType). */
  std::array<std::optional<Rope>, kLayerTypes> ropes_;
  std::vector<Layer> layers_;
  RmsNorm norm_;
};

}  // namespace mlx_gemma::gemma4
