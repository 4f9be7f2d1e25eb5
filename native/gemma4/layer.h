// One decoder layer.
#pragma once

#include <optional>

#include "gemma4/config.h"
#include "gemma4/kv_cache.h"
#include "gemma4/weights.h"
#include "kernels/blocks.h"

namespace mlx_gemma::gemma4 {

/**
 * Gemma4TextDecoderLayer of modeling_gemma4.py. `table` is that of the layer's rope for the T rows,
 * `per_layer` their (1, T, P), where the model has per-layer inputs.
 */
class Layer {
 public:
  /** Reads the tensors under "layers.<index>". */
  Layer(const Config& config, int index, const Weights& weights);

  /** h (1, T, H) → (1, T, H); a producer layer writes the K/V of its T rows into `cache` first. */
  array operator()(const array& h, const std::optional<array>& per_layer, const array& table,
                   KvCache& cache) const;

  /** Producer layers: the K/V of h alone, for when no row, or not every row, is needed further on. */
  void write(const array& h, const array& table, KvCache& cache) const;
  /** The layer on the last T of the rows that were written to `cache`. */
  array read(const array& h, const std::optional<array>& per_layer, const array& table, KvCache& cache) const;

 private:
  kernels::AttentionLayer attention_;
  kernels::FeedForwardLayer feed_forward_;
};

}  // namespace mlx_gemma::gemma4
