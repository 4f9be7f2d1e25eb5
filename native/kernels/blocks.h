// A decoder layer as one node of the graph.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "kernels.h"
#include "key_groups.h"

/**
 * A layer is what its composition from the functions of kernels.h is, bit for bit: the composition is what
 * runs on other devices than a CPU and with many rows, where a node costs nothing beside its work. On a CPU a
 * step of few rows runs the same row functions one after the other inside one primitive, because building and
 * walking some twenty nodes a layer takes longer than a small layer's work.
 */
namespace mlx_gemma::kernels {

/** A projection's weight (out, in), as it is stored. */
using Matrix = std::variant<array, QuantizedWeight>;

/** x · matrixᵀ: linear() or quantized_linear(). */
array project(const array& x, const Matrix& matrix);
/** The same of arrays (..., I) side by side along the last axis. */
array project(const std::vector<array>& parts, const Matrix& matrix);
/** The number of rows of the matrix, and of values in each. */
int outputs(const Matrix& matrix);
int inputs_of(const Matrix& matrix);

/** x times a number as torch does it with a Python float: in float32, rounded once to the dtype of `x`. The
 * number itself is not. Made of MLX's operations. */
array scaled(const array& x, float factor);

/**
 * Rows of a table times a factor, rounded: an embedding's lookup. Packed values are those of mx::dequantize,
 * rounded to the dtype of the factor before they are multiplied.
 *
 * @param table (O, n), packed or of the dtype of the factor
 * @param rows int32 (…), 0 <= row < O: not checked
 * @param factor one element
 * @return (…, n)
 */
array embedding(const Matrix& table, const array& rows, const array& factor);

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

  /** d */
  int width() const { return q_norm.shape(0); }
};

/** What the queries read. */
struct KeyRows {
  array keys;    // (1, kv_heads, S, d), on a CPU any view whose last axis is dense
  array values;  // the same
  /** Which of these rows a query sees; absent: all of them. `query_offset` is the position of the first
   * query. */
  std::optional<AttentionMask> mask;
};

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

/** What a producer layer writes, alone: the buffers with the step's rows. Always a composition. */
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

/** How a model's projection and a token's embedding become what its layers are told. */
struct PerLayerMix {
  array norm;  // (P), over each layer's part of the projection
  float eps;
  float projection_scale;  // of the projection, before the norm
  float scale;             // of the sum
};

/**
 * scale * (norm(projection_scale * projected) + embedded), each step rounded; the norm within each layer's P
 * elements.
 *
 * @param projected (1, T, L * P)
 * @param embedded (1, T, L * P)
 * @return (1, T, L * P)
 */
array per_layer_inputs(const array& projected, const array& embedded, const PerLayerMix& mix);

/** Of a model with per-layer inputs: those of all layers side by side, and whose are meant. */
struct PerLayerRows {
  array all;  // (1, T, L * P)
  int layer;
};

struct PreparedLayer;

/**
 * A layer's weights: what decoder_layer() runs. Where all of them are evaluated when it is made, and for a
 * CPU, steps of few rows find them prepared and are one node, whose inputs they are not.
 */
class DecoderLayer {
 public:
  /** Throws std::invalid_argument for weights that do not belong together. */
  DecoderLayer(AttentionLayer attention, FeedForwardLayer feed_forward);

  const AttentionLayer& attention() const { return attention_; }
  const FeedForwardLayer& feed_forward() const { return feed_forward_; }
  /** Null where the layer is always a composition. */
  const std::shared_ptr<const PreparedLayer>& prepared() const { return prepared_; }

 private:
  AttentionLayer attention_;
  FeedForwardLayer feed_forward_;
  std::shared_ptr<const PreparedLayer> prepared_;
};

/**
 * attended = h + post_attention_layernorm(o_proj(attention(rope(q_norm(q_proj(input_layernorm(h)))))));
 * y = attended + post_feedforward_layernorm(down(gelu_tanh(gate(x)) * up(x))), x =
 * pre_feedforward_layernorm(attended); with per-layer inputs y = y + norm(projection(gelu_tanh(gate(y)) *
 * per_layer)); then y * layer_scalar.
 *
 * @param h (1, T, H)
 * @param rope_table (2, T, d / 2), of rope_table()
 * @param per_layer absent without per-layer inputs
 * @return (1, T, H)
 */
array decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table, const KeyRows& seen,
                    const std::optional<PerLayerRows>& per_layer);
/**
 * The same of a producer layer: writes the step's rows rope(k_norm(k_proj(x))) and v_norm(v_proj(x)), with x
 * = input_layernorm(h), then attends.
 */
AttentionOutput decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table,
                              const CacheRows& cache, const std::optional<PerLayerRows>& per_layer);

/** What the layers of one type read in a step. */
struct LayerReads {
  array rope_table;
  KeyRows seen;
};

/**
 * Layers one after the other that have no keys and values of their own, and no per-layer inputs: on a CPU one
 * node, where each of them is one.
 *
 * @param which of `reads`, for each layer
 */
array decoder_layers(const array& h, const std::vector<DecoderLayer>& layers, const std::vector<int>& which,
                     const std::vector<LayerReads>& reads);

/** The halves of a layer as compositions, on any device: what the primitive must equal. */
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
                         const std::optional<PerLayerRows>& per_layer);
array per_layer_inputs(const array& projected, const array& embedded, const PerLayerMix& mix);
}  // namespace composed

}  // namespace mlx_gemma::kernels
