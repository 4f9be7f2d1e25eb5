// The mixture of experts beside a layer's dense MLP (26B-A4B).
#pragma once

#include <optional>
#include <string>

#include "gemma4/config.h"
#include "gemma4/router.h"
#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/** One matrix for each expert. */
class ExpertsLinear {
 public:
  /** @param weight (E, O, I) values */
  explicit ExpertsLinear(StoredWeight weight) : weight_(std::move(weight)) {}
  /** x (1, T, k, I), or (1, T, 1, I) for all k experts of a token; experts (1, T, k) → (1, T, k, O) */
  array operator()(const array& x, const array& experts) const;

 private:
  StoredWeight weight_;
};

/**
 * Gemma4TextExperts of modeling_gemma4.py: of each token the weighted sum of its k experts' MLPs, added up in
 * float32 from the most probable to the least and rounded once (grouped_mm_experts_forward, what transformers
 * runs unless told otherwise).
 */
class Experts {
 public:
  /**
   * Reads the packaging of transformers, `name`.gate_up_proj (E, 2 * M, H), gate first, and `name`.down_proj
   * (E, H, M); or MLX's, `name`.switch_glu.{gate,up,down}_proj.weight, which may be packed.
   */
  Experts(const Config& config, const Weights& weights, const std::string& name);
  /** x (1, T, H) → (1, T, H) */
  array operator()(const array& x, const Routing& routing) const;

 private:
  /** The inner activations: x (1, T, 1, H) → (1, T, k, M) */
  array activated(const array& x, const array& experts) const;

  int inner_;
  /** Gate and up in one, or the gate alone where `up_` is there. */
  ExpertsLinear gate_;
  std::optional<ExpertsLinear> up_;
  ExpertsLinear down_;
};

/** What a layer with `enable_moe_block` does to its dense MLP's output (Gemma4TextDecoderLayer). */
class ExpertsBlock {
 public:
  /** Reads `layer`.{router, experts} and three norms. */
  ExpertsBlock(const Config& config, const Weights& weights, const std::string& layer);
  /**
   * @param dense the MLP's output, (1, T, H)
   * @param h the residual stream before it, (1, T, H)
   * @return (1, T, H)
   */
  array operator()(const array& dense, const array& h) const;

 private:
  Router router_;
  Experts experts_;
  RmsNorm post_feedforward_layernorm_1_;
  RmsNorm pre_feedforward_layernorm_2_;
  RmsNorm post_feedforward_layernorm_2_;
};

}  // namespace mlx_gemma::gemma4
