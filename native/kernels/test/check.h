// What the tests share: counting checks, random arrays, and arrays as plain numbers.
#pragma once

#include <cstdint>
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

/** Relative spacing of a dtype: 2^-8 for bfloat16, 2^-11, 2^-24; and its largest value. */
double half_spacing(mx::Dtype dtype);
double smallest_step(mx::Dtype dtype);

/** True if got is within `bound` of want and of the rounding of the dtype, or both are the same infinity or
 * NaN. */
bool close(double got, double want, double bound, mx::Dtype dtype);

std::string text(mx::Dtype dtype);

inline const std::vector<mx::Dtype> kTypes{mx::bfloat16, mx::float16, mx::float32};

void accuracy_tests();
void blocks_tests();
void law_tests();

}  // namespace mlx_gemma::kernels::test
