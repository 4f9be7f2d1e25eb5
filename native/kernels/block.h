// The two halves of a decoder layer on plain memory, and its weights as they read them. See blocks.h and
// composed.cpp, whose bits these are.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "blocks.h"
#include "direct.h"
#include "scratch.h"

namespace mlx_gemma::kernels {

struct PreparedAttention {
  int heads, width;
  float eps, scale;
  const char *input_norm, *q_norm, *post_norm;
  WeightView q_proj, o_proj;
  /** Producers. */
  struct KeysValues {
    WeightView k_proj;
    std::optional<WeightView> v_proj;  // absent with attention_k_eq_v
    const char* k_norm;
  };
  std::optional<KeysValues> kv;
};

struct PreparedFeedForward {
  float eps;
  const char *pre_norm, *post_norm, *layer_scalar;
  WeightView gate_proj, up_proj, down_proj;
  struct PerLayerInput {
    WeightView gate, projection;
    const char* norm;
  };
  std::optional<PerLayerInput> per_layer_input;
};

/** A layer's weights where its task finds them. */
struct PreparedLayer {
  /** Of the activations. */
  mx::Dtype dtype;
  PreparedAttention attention;
  /** Absent with experts. */
  std::optional<PreparedFeedForward> feed_forward;
  /** Whose memory the views are of. */
  std::vector<array> arrays;
};

/** Throws std::invalid_argument unless these belong together. */
void check_step(const array& h, const DecoderLayer& layer, const array& rope_table, const array& keys,
                const array& values, const std::optional<PerLayerRows>& per_layer);

/** True if such a step of the layer is a primitive. */
bool runs_prepared(const array& h, const DecoderLayer& layer, const array& keys, const array& values);

/** Null unless all weights are evaluated, dense, and packed or of one dtype; and without kernels of ours. */
std::shared_ptr<const PreparedLayer> prepared(const AttentionLayer& attention,
                                              const FeedForwardLayer& feed_forward);

/** A step's rows, in plain numbers: what both halves read and write. */
struct StepRows {
  int element;
  RowView h;  // (T, H)
  int hidden, rows;
  char* out;  // (T, H)

  std::size_t row_bytes(int elements) const {
    return static_cast<std::size_t>(elements) * element_size(element);
  }
  RowView output() const { return {out, rows, static_cast<std::int64_t>(row_bytes(hidden))}; }
};

/** @param h, out (1, T, H), with memory */
StepRows step_rows(const array& h, array& out);

/** Keys and values as the attention of a step reads them, and where a producer writes its own first. */
struct StepKeys {
  int kv_heads;
  const char *keys, *values;
  std::int64_t key_head, key_row, value_head, value_row;  // elements
  int key_rows;
  std::optional<AttentionMask> mask;
  // Of a producer that writes; else null.
  char *new_keys, *new_values;  // where the step's first row of head 0 goes
  std::int64_t cache_head;      // bytes from head to head there
};

/** Those of a reader. */
StepKeys viewed(const array& keys, const array& values, const std::optional<AttentionMask>& mask);

/** @param table the rope table (2, T, d / 2) */
void attention_block(const PreparedAttention& layer, const StepRows& step, const char* table,
                     const StepKeys& keys);

/**
 * In place if h is out.
 *
 * @param per_layer (T, P), of models with per-layer inputs
 */
void feed_forward_block(const PreparedFeedForward& layer, const StepRows& step, const RowView& per_layer);

/** Both halves, one after the other; with experts the first alone. In place if h is out. */
void layer_block(const PreparedLayer& layer, StepRows step, const char* table, const StepKeys& keys,
                 const RowView& per_layer);

}  // namespace mlx_gemma::kernels
