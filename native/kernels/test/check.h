// What the tests share: counting checks, random arrays, and arrays as plain numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "mlx/mlx.h"

namespace mlx_gemma::kernels::test {

namespace mx = mlx::core;

/** Counts a check, and prints it if it failed. */
void check(bool ok, const std::string& what);

/** Where the running tests are: put before what a failed check prints. */
void set_context(const std::string& context);

std::mt19937& generator();
int uniform(int low, int high);

/** Normal values times `size`. */
mx::array normal(mx::Shape shape, mx::Dtype dtype, double size = 1.0);

/**
 * How large values are. Products of two large ones have room (some 1e30; 1e4 in float16), those of two tiny
 * ones are subnormal in float32, subnormal ones are so themselves; mixed ones are of every size between.
 */
enum class Size { ordinary, large, tiny, subnormal, mixed };
inline const std::vector<Size> kSizes{Size::ordinary, Size::large, Size::tiny, Size::subnormal, Size::mixed};
const char* text(Size size);
Size some_size();

/** Random values of both signs. */
mx::array sized(Size size, mx::Shape shape, mx::Dtype dtype);

/** An evaluated array of these values. */
mx::array from_values(const std::vector<float>& values, mx::Shape shape, mx::Dtype dtype);

/** The elements in row-major order. */
std::vector<double> numbers(const mx::array& a);

/** The bytes of the elements in row-major order. */
std::string bits(const mx::array& a);

/** Rows [begin, end) of an axis, as a view. */
mx::array rows_of(const mx::array& a, int axis, int begin, int end);

/** The same values in other memory: the axes before the last are laid out in reverse order. */
mx::array restrided(const mx::array& a);

/** rope() of rows whose first is at `position`. */
mx::array rotated(const mx::array& x, const mx::array& inverse_frequencies, int position);

/** Relative spacing of a dtype: 2^-8 for bfloat16, 2^-11, 2^-24; and its largest value. */
double half_spacing(mx::Dtype dtype);
double smallest_step(mx::Dtype dtype);

constexpr double kSmallestNormal = 0x1p-126;

/** True where products take subnormal numbers, and sums that are, for zeros: tiles do. */
bool flushes(mx::Dtype dtype);

/** The same values twice, along the last axis; with the other sign if `negated`. */
mx::array doubled(const mx::array& a, bool negated);

/** True if got is within `bound` of want and of the rounding of the dtype, or both are the same infinity or
 * NaN. */
bool close(double got, double want, double bound, mx::Dtype dtype);

/** close(); what share of the error that is allowed `kernel` used in float32 goes into the report. */
bool within(const std::string& kernel, double got, double want, double bound, mx::Dtype dtype);

std::string text(mx::Dtype dtype);

inline const std::vector<mx::Dtype> kTypes{mx::bfloat16, mx::float16, mx::float32};

void accuracy_tests();
void blocks_tests();
void law_tests();
void key_groups_tests();
void pool_tests();
void products_tests();
void quantized_tests();
void experts_tests();
void sampling_tests();

/** Does something wrong on purpose; false if there is no such defect. */
bool plant(const std::string& defect);

constexpr int kMostThreads = 4;

/** The bytes of row `row` out of `rows`, of an array whose rows lie one after the other. */
std::string row_bits(const std::string& all, int row, int rows);

/** 2 to 140, half of the time up to 16. */
int some_rows();

/**
 * True if every row of f(x), x (rows, n), comes out the same alone, in a block, in part of the block,
 * strided, with any threads.
 */
bool block_holds(const std::function<mx::array(const mx::array&)>& f, const mx::array& x);

/** A way of packing that MLX has. */
struct Packing {
  QuantizationMode mode;
  int bits, group_size;
};
const std::vector<Packing>& packings();
std::string text(const Packing& packing);

/**
 * Weights (…, O, I) of random codes, scales of both signs and biases, in float32 or the dtype of affine
 * scales.
 * @param paired the second half of each row is the first half with the other sign
 */
QuantizedWeight packed_normal(const Packing& packing, mx::Shape shape, mx::Dtype dtype, bool paired = false);

/** The matrix as float32: what the kernels say they multiply with. */
mx::array dequantized(const QuantizedWeight& weight);

/** Matrix `index` of a stack. */
QuantizedWeight matrix_of(const QuantizedWeight& stack, int index);

}  // namespace mlx_gemma::kernels::test
