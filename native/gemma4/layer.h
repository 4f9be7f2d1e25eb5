// One decoder layer.
#pragma once

#include <optional>
#include <vector>

#include "gemma4/config.h"
#include "gemma4/kv_cache.h"
#include "gemma4/weights.h"
#include "kernels/blocks.h"

namespace mlx_gemma::gemma4 {

/** What the layers of one type share in a step of T rows. */
struct TypeStep {
  /** kernels::rope_table() of the rows. */
  array rope_table;
  /** Of a step of fixed size: the keys that its rows are given. Else empty: what they may see, no more. */
  std::vector<kernels::KeyGroup> groups;
};

/** A layer's own of the per-layer inputs, where the model has such. */
using OwnInput = std::optional<kernels::PerLayerRows>;

/** Gemma4TextDecoderLayer of modeling_gemma4.py. `step` is that of the layer's type. */
class Layer {
 public:
  /** Reads the tensors under "layers.<index>". */
  Layer(const Config& config, int index, const Weights& weights);

  /** h (1, T, H) → (1, T, H); a producer layer writes the K/V of its T rows into `cache` first. */
  array operator()(const array& h, const OwnInput& per_layer, const TypeStep& step, KvCache& cache) const;

  /** Producer layers: the K/V of h alone, for when no row, or not every row, is needed further on. */
  void write(const array& h, const TypeStep& step, KvCache& cache) const;
  /** The layer on the last T of the rows that were written to `cache`. */
  array read(const array& h, const OwnInput& per_layer, const TypeStep& step, KvCache& cache) const;

 private:
  array grouped(const array& h, const TypeStep& step, KvCache& cache) const;

  kernels::DecoderLayer weights_;
};

}  // namespace mlx_gemma::gemma4
