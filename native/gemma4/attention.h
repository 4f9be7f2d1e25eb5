// Self-attention of one layer.
#pragma once

#include <optional>
#include <string>

#include "gemma4/config.h"
#include "gemma4/kv_cache.h"
#include "gemma4/rope.h"
#include "gemma4/weights.h"

namespace mlx_gemma::gemma4 {

/**
 * Gemma4TextAttention of modeling_gemma4.py, its two halves apart: a producer layer writes K/V for every
 * token of the step, while queries are made only for the positions that are needed.
 */
class Attention {
 public:
  /** `rope` must outlive this. */
  Attention(const Config& config, int layer, const Weights& weights, const std::string& name,
            const Rope& rope);

  /** Producer layers: K/V of x (1, T, H), whose first row is at `position`, into `cache`. */
  void write(const array& x, int position, KvCache& cache) const;

  /** Queries of x (1, T, H), the last rows that were written to the layer's source `cache` → (1, T, H). */
  array operator()(const array& x, int position, KvCache& cache) const;

 private:
  struct KeysValues {
    Linear k_proj;
    /** Absent with attention_k_eq_v. */
    std::optional<Linear> v_proj;
    RmsNorm k_norm;
    RmsNorm v_norm;
  };

  /** (1, T, n * d) → (1, n, T, d), each head normed. */
  array normed_heads(const array& x, int heads, const RmsNorm& norm) const;
  static std::optional<KeysValues> make_keys_values(const Config& config, int layer, const Weights& weights,
                                                    const std::string& name);

  int num_heads_;
  int num_kv_heads_;
  int head_dim_;
  /** 0: full attention. */
  int window_;
  const Rope& rope_;
  Linear q_proj_;
  RmsNorm q_norm_;
  /** Absent in KV-shared layers. */
  std::optional<KeysValues> kv_;
  Linear o_proj_;
};

}  // namespace mlx_gemma::gemma4
