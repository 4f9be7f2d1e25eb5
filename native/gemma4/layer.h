// One decoder layer.
#pragma once

#include <optional>
#include <string>

#include "gemma4/attention.h"
#include "gemma4/config.h"
#include "gemma4/experts.h"
#include "gemma4/mlp.h"
#include "gemma4/per_layer_inputs.h"
#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/** Gemma4TextDecoderLayer of modeling_gemma4.py, in the pieces that the model needs apart. */
class Layer {
 public:
  /** Reads the tensors under "layers.<index>". `rope` must outlive this. */
  Layer(const Config& config, int index, const Weights& weights, const Rope& rope);

  /** input_layernorm: what K/V and queries are made of. (1, T, H) → (1, T, H) */
  array normed(const array& h) const { return input_layernorm_(h); }

  /** Producer layers: K/V of x = normed(h), whose first row is at `position`, into `cache`. */
  void write(const array& x, int position, KvCache& cache) const { self_attn_.write(x, position, cache); }

  /**
   * The layer on the last T rows of those that were written to `cache`.
   * @param h (1, T, H)
   * @param x normed(h), (1, T, H)
   * @param per_layer (1, T, P), where the model has per-layer inputs
   * @return (1, T, H)
   */
  array operator()(const array& h, const array& x, const std::optional<array>& per_layer, int position,
                   KvCache& cache) const;

 private:
  Attention self_attn_;
  Mlp mlp_;
  std::optional<ExpertsBlock> experts_;
  RmsNorm input_layernorm_;
  RmsNorm post_attention_layernorm_;
  RmsNorm pre_feedforward_layernorm_;
  RmsNorm post_feedforward_layernorm_;
  std::optional<PerLayerGate> per_layer_gate_;
  /** (1) */
  array layer_scalar_;
};

}  // namespace mlx_gemma::gemma4
