// The CPU primitives of the Gemma 4 models, as functions on MLX arrays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mlx/array.h"
#include "quantization_mode.h"

/**
 * Each function adds one node to MLX's graph. On a CPU default device the node is a primitive of ours; on any
 * other device it is made of MLX's own operations (mlx_operations.h).
 *
 * The law of this folder: on a CPU the bits of an output row depend on that row alone. They do not change
 * with the number of rows in the call, the number of threads, or the strides of the inputs; in attention they
 * do not change with the chunking of the queries, with keys the row does not see, or with where the view of
 * the cache starts. They may change between processors (see name()). kernels_test.cpp tests this as a
 * property.
 *
 * Element types: bfloat16, float16, float32. Inside, everything is float32.
 */
namespace mlx_gemma::kernels {

using mlx::core::array;

/**
 * x · weightᵀ, accumulated in float32 and rounded once to the dtype of `x`.
 *
 * @param x (…, I)
 * @param weight (O, I), cast to the dtype of `x` where it differs
 * @return (…, O)
 */
array linear(const array& x, const array& weight);

/** "affine", "mxfp4", "mxfp8" or "nvfp4"; nothing for any other name. */
std::optional<QuantizationMode> quantization_mode(const std::string& name);
/** The other way round. */
const char* name(QuantizationMode mode);

/**
 * A matrix (O, I), or a stack of them (E, O, I), as mx::quantize packs it: element i of a row stands in bits
 * [i * bits, (i + 1) * bits) of the row's words, lowest bit first.
 *
 * | mode   | bits             | group_size  | element                | scales (…, O, I / group_size) |
 * |--------|------------------|-------------|------------------------|-------------------------------|
 * | affine | 2, 3, 4, 5, 6, 8 | 32, 64, 128 | scale * code + bias    | bfloat16, float16 or float32  |
 * | mxfp4  | 4                | 32          | scale * e2m1(code)     | uint8: 2^(scale - 127)        |
 * | mxfp8  | 8                | 32          | scale * e4m3(code)     | uint8: 2^(scale - 127)        |
 * | nvfp4  | 4                | 16          | scale * e2m1(code)     | uint8: e4m3(scale)            |
 */
struct QuantizedWeight {
  array weight;  // (…, O, I * bits / 32), uint32
  array scales;
  std::optional<array> biases;  // affine only: like the scales
  int group_size;
  int bits;
  QuantizationMode mode;

  /** Throws std::invalid_argument unless all of the above holds, with `ndim` axes. */
  void check(int ndim) const;
  /** I */
  int inputs() const { return static_cast<int>(weight.shape(-1) * std::int64_t{32} / bits); }
  /** O */
  int outputs() const { return weight.shape(-2); }
  std::size_t nbytes() const { return weight.nbytes() + scales.nbytes() + (biases ? biases->nbytes() : 0); }
};

/**
 * x · dequantized(weight)ᵀ, accumulated in float32 and rounded once to the dtype of `x`.
 *
 * On a CPU the weights are what the table above says, in float32: not rounded to the dtype of `x` or of the
 * scales before they are multiplied. On other devices the rounding of a weight is MLX's.
 *
 * @param x (…, I)
 * @param weight (O, I)
 * @return (…, O)
 */
array quantized_linear(const array& x, const QuantizedWeight& weight);

/**
 * Each row of x times the matrices of its experts: row (t, j) of the result is x[t, j] · weight[indices[t,
 * j]]ᵀ, in the bits that linear() gives for that row and that matrix. Nothing is read back to route: on a CPU
 * each expert that any row chose is read once.
 *
 * @param x (…, k, I), or (…, 1, I) where all k experts of a token read the same row
 * @param weight (E, O, I), cast to the dtype of `x` where it differs; may be a slice of the second axis
 * @param indices int32 or uint32 (…, k), 0 <= index < E: not checked
 * @return (…, k, O)
 */
array experts_linear(const array& x, const array& weight, const array& indices);
/** The same with quantized matrices, in the bits of quantized_linear(). */
array experts_linear(const array& x, const QuantizedWeight& weight, const array& indices);

/**
 * Which keys a query row sees. Row t of the queries is at position `query_offset + t`, row s of the keys at
 * `key_offset + s`; a key is visible where `0 <= query - key` and, if `window > 0`, `query - key < window`.
 */
struct AttentionMask {
  int query_offset = 0;
  int window = 0;
  int key_offset = 0;
};

/**
 * Softmax attention with grouped queries: head h reads kv head h / (heads / kv_heads). Scores and softmax are
 * float32; the probabilities are not rounded to the dtype; the result is rounded once. A row that sees no key
 * is zero.
 *
 * On a CPU the memory of the result is laid out as (1, T, heads, d), so that `transpose(out, {0, 2, 1, 3})`
 * followed by `reshape(…, {1, T, heads * d})` copies nothing. The queries may be such a transposed view, and
 * keys and values may be slices of a larger buffer: no input is copied as long as its last axis is dense.
 *
 * @param q (1, heads, T, d)
 * @param keys (1, kv_heads, S, d), @param values (1, kv_heads, S, d)
 * @param mask absent: every row sees all S keys
 * @return (1, heads, T, d)
 */
array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask = std::nullopt);

/**
 * Writes `update` into rows [offset, offset + T) of axis 2 of `buffer`.
 *
 * On a CPU this is done in place: the result shares the memory of `buffer`, which must be dense, and nothing
 * else in the graph may read those rows through `buffer` afterwards. Elsewhere it is `slice_update`.
 *
 * @param buffer (1, kv_heads, C, d)
 * @param update (1, kv_heads, T, d), cast to the dtype of `buffer` where it differs; may be a strided view
 */
array kv_write(const array& buffer, const array& update, int offset);

/**
 * Place of the largest element of each row, of equal ones the first. On a CPU a NaN is smaller than any
 * number, and 0 the place where there is none; elsewhere they are MLX's.
 *
 * @param x (…, n)
 * @return int32 (…)
 */
array argmax(const array& x);

/**
 * What stands in `tokens` at that place.
 *
 * @param scores (1, C)
 * @param tokens int32 (1, C)
 * @return int32 (1, 1)
 */
array largest_token(const array& scores, const array& tokens);

/** cap * tanh(x / cap), each step rounded to the dtype of `x` (final_logit_softcapping in
 * modeling_gemma4.py). */
array softcap(const array& x, float cap);

/** gelu_tanh(gate) * up: gelu in float32, rounded to the dtype, multiplied, rounded again (as two torch ops
 * do). */
array gelu_multiply(const array& gate, const array& up);

/** x / sqrt(mean(x²) + eps) * weight over the last axis, all in float32, rounded once (Gemma4RMSNorm). */
array rms_norm(const array& x, const std::optional<array>& weight, float eps);

/**
 * Cosines and sines of the angles position * inverse_frequencies[j], each computed in float32 and rounded to
 * `dtype`.
 *
 * @param inverse_frequencies (d / 2), float32
 * @param position of row 0; row t is at position + t
 * @return (2, rows, d / 2): cosines, then sines
 */
array rope_table(const array& inverse_frequencies, int position, int rows, mlx::core::Dtype dtype);

/**
 * Rotary embedding of halves: pair j is (j, j + d/2). Both products and their sum are rounded to the dtype of
 * `x`, as the reference does.
 *
 * @param x (1, heads, T, d), may be a transposed view. On a CPU the result has the layout of a dense (1,
 * heads, T, d) array, or of a (1, T, heads, d) one if `x` has that.
 * @param table of rope_table, in the dtype of `x`, of T rows
 */
array rope(const array& x, const array& table);

/** Threads that a call may use, the caller's among them. 0: the default, one per physical core we may run on.
 */
void set_threads(int n);

/** Threads that a call may use now. */
int threads();

/** True if new operations are primitives of ours: on a CPU, unless MLX_GEMMA_ISA is "mlx". */
bool own_kernels();

/**
 * Rows that every block that is verified is padded to, in passes of so many: where MLX's own operations run,
 * whose kernels differ with the shapes. 0: blocks have the shape that they have. MLX_GEMMA_STEP_ROWS asks for
 * another number.
 */
int step_rows();

/** The instruction set in use: "amx", "avx512", "avx2", "neon" or "scalar"; "mlx" where MLX's own operations
 * run. MLX_GEMMA_ISA forces one that the CPU has, or "mlx". */
const char* name();

}  // namespace mlx_gemma::kernels
