// The kernels on plain memory, at once: what the primitives run in their tasks, alone or one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arrays.h"
#include "weight_view.h"

/**
 * Every function works on the calling thread and the pool, and is done when it returns. `element` is the
 * Element of all operands; `out` is dense and may be the input itself where that is said.
 */
namespace mlx_gemma::kernels::direct {

/** Rows [begin, end) of a matrix, and where their products with x go: row r to out + r * out_stride elements.
 */
struct LinearPart {
  const WeightView* weight;
  int begin, end;
  char* out;
  std::int64_t out_stride;

  /** All of the matrix, to a dense result. */
  LinearPart(const WeightView& weight, char* out)
      : LinearPart(weight, 0, weight.outputs(), out, weight.outputs()) {}
  LinearPart(const WeightView& weight, int begin, int end, char* out, std::int64_t out_stride)
      : weight(&weight), begin(begin), end(end), out(out), out_stride(out_stride) {}
};

/** x · weightᵀ for parts of one element type and depth; x is read once for all of them. */
void linear(const RowView& x, const LinearPart* parts, int count);

/** RMSNorm of rows of `width` elements; weight may be null. In place if x is out. */
void rms_norm(int element, const RowView& x, const char* weight, int width, float eps, char* out);

/** gelu_tanh(gate) * up on rows of `width` elements. In place if gate is out. */
void gelu_multiply(int element, const RowView& gate, const RowView& up, int width, char* out);

/** a + b, rounded, on n elements. In place if a is out. */
void add(int element, const char* a, const char* b, std::size_t n, char* out);

/** x times the one element at `factor`, rounded, on n elements. In place if x is out. */
void scale(int element, const char* x, const char* factor, std::size_t n, char* out);

/** Row t of head h of x, rotated by row t of the table, to `out + h * head_step + t * row_step` bytes. In
 * place if these are the same rows. */
struct RopeJob {
  RowView x;  // row h * rows + t
  int heads, rows, half;
  const char* table;  // (2, rows, half): cosines, sines
  char* out;
  std::int64_t head_step, row_step;
};
void rope(int element, const RopeJob& job);

/** Softmax attention; see attention() in kernels.h. */
struct AttentionCall {
  int element;
  RowView q;  // row head * query_rows + t
  const char* keys;
  const char* values;
  std::int64_t key_head, key_row, value_head, value_row;  // elements
  int heads, kv_heads, query_rows, key_rows, width;
  float scale;
  bool masked;
  AttentionMask mask;
  char* out;  // (query_rows, heads, width)
};
void attention(const AttentionCall& call);

}  // namespace mlx_gemma::kernels::direct
