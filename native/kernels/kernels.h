// The CPU primitives of the Gemma 4 models, as functions on MLX arrays.
#pragma once

#include <optional>

#include "mlx/array.h"

/**
 * Each function adds one node to MLX's graph. On a CPU default device the node is a primitive of ours; on any
 * other device it is made of MLX's own operations (mlx_operations.h), with the same rounding rules.
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

/** gelu_tanh(gate) * up: gelu in float32, rounded to the dtype, multiplied, rounded again (as two torch ops
 * do). */
array gelu_multiply(const array& gate, const array& up);

/** x / sqrt(mean(x²) + eps) * weight over the last axis, all in float32, rounded once (Gemma4RMSNorm). */
array rms_norm(const array& x, const std::optional<array>& weight, float eps);

/**
 * Rotary embedding of halves: pair j is (j, j + d/2). The angle is position * inverse_frequencies[j] in
 * float32; cos and sin are rounded to the dtype of `x`, and so are both products and their sum, as the
 * reference does.
 *
 * @param x (1, heads, T, d), may be a transposed view. On a CPU the result has the layout of a dense (1,
 * heads, T, d) array, or of a (1, T, heads, d) one if `x` has that.
 * @param inverse_frequencies (d / 2), float32
 * @param position of row 0; row t is at position + t, or at `position` too if `same_position`
 */
array rope(const array& x, const array& inverse_frequencies, int position, bool same_position = false);

/** Threads that a call may use, the caller's among them. 0: the default, one per physical core we may run on.
 */
void set_threads(int n);

/** Threads that a call may use now. */
int threads();

/** The instruction set in use: "avx512", "avx2", "neon" or "scalar". MLX_GEMMA_ISA forces one that the CPU
 * has. */
const char* name();

}  // namespace mlx_gemma::kernels
