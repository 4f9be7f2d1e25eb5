// Which experts a token goes through, and with what weights.
#pragma once

#include <string>

#include "gemma4/config.h"
#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/** The k experts of each of T tokens, the most probable first. */
struct Routing {
  /** uint32 (1, T, k) */
  array experts;
  /** float32 (1, T, k) */
  array weights;
};

/**
 * Gemma4TextRouter of modeling_gemma4.py. A token's experts depend on that token alone, and nothing is read
 * back to choose them. Among equally probable experts those of lower number are taken first (torch.topk
 * promises no order; with trained weights there are no such ties).
 */
class Router {
 public:
  /** Reads `name`.{scale, proj, per_expert_scale}. */
  Router(const Config& config, const Weights& weights, const std::string& name);
  /** h (1, T, H), as it stands in the residual stream */
  Routing operator()(const array& h) const;

 private:
  int top_k_;
  RmsNorm norm_;
  /** (H) */
  array scale_;
  /** H^-0.5 */
  float root_size_;
  Linear proj_;
  /** float32 (E) */
  array per_expert_scale_;
};

}  // namespace mlx_gemma::gemma4
