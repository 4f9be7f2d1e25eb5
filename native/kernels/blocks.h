// The two halves of a decoder layer, each as one node of the graph.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "kernels.h"
#include "key_groups.h"

/**
 * A block is what its composition from the functions of kernels.h is, bit for bit: the composition is what
 * runs on other devices than a CPU and with many rows, where a node costs nothing beside its work. On a CPU a
 * step of few rows runs the same row functions one after the other inside one primitive, because building and
 * walking some twenty nodes a layer takes longer than a small layer's work.
 */
namespace mlx_gemma::kernels {

/** A projection's weight (out, in), as it is stored. */
using Matrix = std::variant<array, QuantizedWeight>;

/** x · matrixᵀ: linear() or quantized_linear(). */
array project(const array& x, const Matrix& matrix);
/** The number of rows of the matrix, and of values in each. */
int outputs(const Matrix& matrix);
int inputs_of(const Matrix& matrix);

/** Weights and numbers of a layer's attention. All arrays of one dtype, that of the activations. */
struct AttentionLayer {
  array input_layernorm;           // (H)
  Matrix q_proj;                   // (heads * d, H)
  array q_norm;                    // (d)
  Matrix o_proj;                   // (H, heads * d)
  array post_attention_layernorm;  // (H)
  /** Producer layers. */
  struct KeysValues {
    Matrix k_proj;                 // (kv_heads * d, H)
    std::optional<Matrix> v_proj;  // absent: the values are the normed raw keys
    array k_norm;                  // (d)
  };
  std::optional<KeysValues> kv;
  int heads;
  float eps;
  float scale;
};

/** What the queries read. */
struct KeyRows {
  array keys;    // (1, kv_heads, S, d), on a CPU any view whose last axis is dense
  array values;  // the same
  /** Which of these rows a query sees; absent: all of them. `query_offset` is the position of the first
   * query. */
  std::optional<AttentionMask> mask;
};

/**
 * h + post_attention_layernorm(o_proj(attention(rope(q_norm(q_proj(input_layernorm(h))))))).
 *
 * @param h (1, T, H)
 * @param rope_table (2, T, d / 2), of rope_table()
 * @return (1, T, H)
 */
array attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                      const KeyRows& seen);

/** The K/V buffers of a producer layer, and where the step's rows go. */
struct CacheRows {
  array keys;    // (1, kv_heads, C, d), dense
  array values;  // the same
  /** Row that the step's first key goes to; the step sees nothing past its last. */
  int offset;
  /** Position of row 0 of the buffers; the step's first token is at first_position + offset. */
  int first_position;
  /** 0: full attention. */
  int window;
};

struct AttentionOutput {
  array h;     // (1, T, H)
  array keys;  // the buffers with the step's rows: the same memory on a CPU, as in kv_write()
  array values;
};

/**
 * The same of a producer layer: writes the step's rows rope(k_norm(k_proj(x))) and v_norm(v_proj(x)), with x
 * = input_layernorm(h), then attends.
 */
AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache);

/** The first half of that alone, where no query is needed: the buffers with the step's rows. Always a
 * composition. */
std::pair<array, array> write_keys_values(const array& h, const AttentionLayer& layer,
                                          const array& rope_table, const CacheRows& cache);

/** Weights of the rest of a layer. All arrays of one dtype, that of the activations. */
struct FeedForwardLayer {
  array pre_feedforward_layernorm;   // (H)
  Matrix gate_proj;                  // (I, H)
  Matrix up_proj;                    // (I, H)
  Matrix down_proj;                  // (H, I)
  array post_feedforward_layernorm;  // (H)
  /** What becomes of the MLP's output (1, T, H), given h too, before the norm: a mixture of experts beside
   * it. */
  std::function<array(const array& dense, const array& h)> experts;
  /** Models with per-layer inputs. */
  struct PerLayerInput {
    Matrix gate;        // (P, H)
    Matrix projection;  // (H, P)
    array norm;         // (H)
  };
  std::optional<PerLayerInput> per_layer_input;
  array layer_scalar;  // (1)
  float eps;
};

/**
 * y = h + post_feedforward_layernorm(down(gelu_tanh(gate(x)) * up(x))), x = pre_feedforward_layernorm(h);
 * with per-layer inputs y = y + norm(projection(gelu_tanh(gate(y)) * per_layer)); then y * layer_scalar. A
 * layer with experts is a composition.
 *
 * @param h (1, T, H)
 * @param per_layer (1, T, P), maybe a view; absent without per-layer inputs
 * @return (1, T, H)
 */
array feed_forward_block(const array& h, const FeedForwardLayer& layer,
                         const std::optional<array>& per_layer);

/** The compositions themselves, on any device: what the blocks must equal. */
namespace composed {
array attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                      const KeyRows& seen);
AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache);
/**
 * attention_block() with the keys of each group, for steps of fixed size. A producer writes the step's rows
 * first; other layers are given their source's buffers with the rows in them.
 */
AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache, const std::vector<KeyGroup>& groups);
array feed_forward_block(const array& h, const FeedForwardLayer& layer,
                         const std::optional<array>& per_layer);
}  // namespace composed

}  // namespace mlx_gemma::kernels
