// The row functions, compiled once per instruction set, and the choice among them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "packed.h"

namespace mlx_gemma::kernels {

enum class Element : int { bf16 = 0, f16 = 1, f32 = 2 };

/** Sums over k run in blocks of this many elements: one chain of lanes in a block, then the blocks in order.
 */
constexpr int kDepth = 1024;

/** Up to here the weights are read from memory as they are; above it converting a tile of them first pays. */
constexpr int kNarrowRows = 16;

/** Keys are reduced in blocks of this many absolute positions. */
constexpr int kKeyBlock = 128;

/** A range of weight rows applied to all rows of x. */
struct LinearJob {
  const float* x;  // (rows, padded), each row as prepare makes it
  std::ptrdiff_t padded;
  const void* weight;  // row o at weight + o * weight_stride elements
  std::ptrdiff_t weight_stride;
  int depth;  // I
  int rows;
  void* out;  // row r at out + r * out_stride elements
  std::ptrdiff_t out_stride;
  float* scratch;  // narrow_scratch() floats or, in the wide form, linear_scratch() floats
};

/** The same with packed weights. */
struct PackedJob {
  const float* x;  // (rows, padded), each row as prepare_packed makes it
  std::ptrdiff_t padded;
  PackedRows weight;
  int depth;  // I
  int rows;
  void* out;  // row r at out + r * out_stride elements
  std::ptrdiff_t out_stride;
  float* scratch;  // packed_scratch() floats
};

/** One block of keys seen by query rows that share a kv head. */
struct AttentionJob {
  const float* q;         // (rows, padded) as load_queries makes them
  std::ptrdiff_t padded;  // of q's rows, and of those of the values' sums
  int rows;
  const void* keys;  // the row at `first_key` of the view; stride in elements
  std::ptrdiff_t key_stride;
  const void* values;
  std::ptrdiff_t value_stride;
  int width;  // d
  float scale;
  bool fetch;     // the first tile of rows brings the values into cache while it computes the scores
  int next_keys;  // rows of keys behind the block that are wanted next: it may bring these, too
};

/** Position range of visible keys, relative to the start of a block of kKeyBlock positions. */
struct Span {
  int begin;
  int end;
};

/** Softmax state of one row after some keys: the maximum, the sum of exp(score - maximum); the values stand
 * apart. */
struct SoftmaxState {
  float maximum;
  float sum;
};

/**
 * Row functions of one instruction set. `pair` is what one step consumes: two vectors. Arrays "in pair order"
 * hold each group of `pair` elements as the two float vectors that the loads of that element type give
 * (bfloat16 comes apart into even and odd elements), zero-padded to a whole group. "Even-odd order" is that
 * of bfloat16 for every element type.
 */
struct RowFunctions {
  const char* name;
  int pair;
  /** Elements whose products put all rows of x in another order first, at every call: few calls are better.
   */
  bool turns_x[3];

  /** One row of `n` elements to float32 in pair order, zero-padded. */
  void (*widen[3])(const void* in, int n, float* out);
  /** One row of x as linear_narrow and linear_wide take it: widen(), or what stands in its place. */
  void (*prepare[3])(const void* in, int n, float* out);
  /** A row of x as linear_packed takes it: widened in even-odd order, and behind it, for groups of affine
   * weights, the sums of its groups: packed_row_floats() in all. `group` is 0 where no sums are wanted. */
  void (*prepare_packed[3])(const void* in, int n, int group, float* out);
  /** One row in pair order to `n` elements, rounded. */
  void (*narrow[3])(const float* in, int n, void* out);

  /** Weight rows [begin, end), read once for all rows of x; for few rows. */
  void (*linear_narrow[3])(const LinearJob& job, int begin, int end);
  /** The same sums in the same order, through a float32 tile of weights; for many rows. */
  void (*linear_wide[3])(const LinearJob& job, int begin, int end);
  /** False for packed weights that prepare_packed and linear_packed are not for: see packed_functions().
   * Null: they take all. */
  bool (*takes_packed[3])(const PackedRows& weight);
  /** Packed weight rows [begin, end), unpacked once for all rows of x, many or few. */
  void (*linear_packed[3])(const PackedJob& job, int begin, int end);
  /** Row o of packed weights with `depth` elements in the bits of mx::dequantize. */
  void (*dequantize[3])(const PackedRows& weight, int depth, std::ptrdiff_t o, void* out);

  /** Up to kTileRows query rows of `n` elements as attend_block takes them: (count, padded) floats in pair
   * order, or what stands in their place. */
  void (*load_queries[3])(const void* const* rows, int count, int n, float* out);
  /**
   * Block state of up to kTileRows rows: spans[r] is what row r sees of the block. Writes states[r] and
   * values[r * padded …] in pair order. `first` is the in-block position of job.keys' row. An empty span
   * gives sum 0 and maximum -inf.
   */
  void (*attend_block[3])(const AttentionJob& job, const Span* spans, int first, SoftmaxState* states,
                          float* values);
  /** Folds a block's state into a row's running state; blocks come in order. n is padded. */
  void (*merge)(SoftmaxState& into, float* into_values, const SoftmaxState& block, const float* values,
                int n);
  /** values / sum to n elements. */
  void (*finish[3])(const SoftmaxState& state, const float* values, int n, void* out);

  void (*gelu_multiply[3])(const void* gate, const void* up, std::size_t n, void* out);
  void (*add[3])(const void* a, const void* b, std::size_t n, void* out);
  /** cap * tanh(x / cap), each of the three steps rounded. */
  void (*softcap[3])(const void* x, std::size_t n, float cap, void* out);
  void (*scale[3])(const void* x, float factor, std::size_t n, void* out);
  /** Place of the largest of n elements, the first of equal ones; NaN is smaller than any number, 0 if all
   * are.
   */
  int (*argmax[3])(const void* x, int n);
  /** e^x of what is not above 0, within 2 units in the last place; 0 where that is below e^-87.3. */
  void (*exponentials)(const float* x, int n, float* out);
  /** weight may be null. */
  void (*rms_norm[3])(const void* x, const void* weight, int n, float eps, void* out);
  /** cos and sin of position * frequencies[j], rounded to the element type. */
  void (*rope_table[3])(const float* frequencies, int half, float position, void* cos, void* sin);
  void (*rope_row[3])(const void* x, const void* cos, const void* sin, int half, void* out);
};

/** Rows that attend_block takes at most. */
constexpr int kTileRows = 16;

/** The floats a narrow linear may need as scratch: its rows of x once more, in two bytes an element. */
constexpr std::size_t narrow_scratch(std::ptrdiff_t padded) {
  return static_cast<std::size_t>(kNarrowRows * padded) / 2;
}

/** Weight rows of one float32 tile, and the floats a wide linear needs as scratch beside `rows` partial sums
 * each. */
constexpr int kTileColumns = 48;
constexpr std::size_t linear_scratch(int rows) {
  return static_cast<std::size_t>(kTileColumns) * (kDepth + static_cast<std::size_t>(rows));
}

/** The same for packed weights, whose sums over k run in blocks of kPackedDepth. For up to kPackedNarrow rows
 * the tile is small enough to stay in the inner cache. */
constexpr int kPackedDepth = 1024;
constexpr int kPackedNarrow = 16;
constexpr int kPackedColumns = 6;
constexpr int packed_columns(int rows) { return rows > kPackedNarrow ? kTileColumns : kPackedColumns; }
/** Room for the scales of a block in groups of 16, or its biases, and a vector more. */
constexpr int kGroupFloats = kPackedDepth / 16 + 16;
constexpr std::size_t packed_scratch(int rows, std::ptrdiff_t padded) {
  const std::size_t tile = static_cast<std::size_t>(packed_columns(rows)) *
                           (kPackedDepth + 2 * kGroupFloats + static_cast<std::size_t>(rows));
  const std::size_t turned = static_cast<std::size_t>(rows + 15) * (padded + 16);
  return tile > turned ? tile : turned;
}

/** A row of x for packed weights: whole pairs, then kBlockGroups sums for each block. Affine groups have 32
 * elements at least. */
constexpr int kBlockGroups = kPackedDepth / 32;
constexpr std::ptrdiff_t packed_row_sums(int depth) {
  return static_cast<std::ptrdiff_t>((depth + kPackedDepth - 1) / kPackedDepth) * kBlockGroups;
}
constexpr std::ptrdiff_t packed_row_floats(int depth, int pair) {
  return (static_cast<std::ptrdiff_t>(depth) + pair - 1) / pair * pair + packed_row_sums(depth);
}

/** The functions in use, chosen at the first call. */
const RowFunctions& row_functions();

/** Those of them that multiply rows of `element` with packed weights: the functions in use, or others where
 * these do not take such weights. */
const RowFunctions& packed_functions(Element element, const PackedRows& weight);

/** Changes them, for tests: false if this processor can't run `name`. No kernel may be under way. */
bool use_isa(const char* name);

#if defined(__x86_64__)
extern const RowFunctions avx2_functions;
extern const RowFunctions avx512_functions;
#if defined(MLX_GEMMA_AMX)
const RowFunctions& amx_functions();
#endif
#endif
extern const RowFunctions portable_functions;

}  // namespace mlx_gemma::kernels
