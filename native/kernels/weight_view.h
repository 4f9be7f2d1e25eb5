// The weights of a linear layer, plain or packed, or a stack of such matrices, as a task can carry them.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "arrays.h"

namespace mlx_gemma::kernels {

/** How packed weights are packed: what their arrays do not tell. */
struct PackedAs {
  int group_size;
  int bits;
  QuantizationMode mode;
};

inline PackedAs packed_as(const QuantizedWeight& w) { return {w.group_size, w.bits, w.mode}; }

/** Inputs of a primitive: `inputs`, then codes, scales and biases. */
std::vector<array> with_parts(std::vector<array> inputs, const QuantizedWeight& w);

/** Rows of x converted and multiplied at a time in the wide form: they should stay in the outer cache. */
int wide_rows(int depth);

class WeightView {
 public:
  WeightView() = default;
  /**
   * @param weights the matrix; or, if packed, codes, scales and, in affine mode, biases; evaluated, the last
   * axis dense. With three axes: a stack. Their memory must outlive the view.
   * @param element of x and of the result
   */
  WeightView(const std::vector<array>& weights, const std::optional<PackedAs>& packed, Element element);

  int inputs() const { return inputs_; }
  int outputs() const { return outputs_; }
  int count() const { return count_; }
  bool packed() const { return packed_; }
  Element element() const { return static_cast<Element>(element_); }
  /** Bytes of an element of x and of the result. */
  std::int64_t size() const { return size_; }
  /** Floats of a row of x as multiply() takes it. */
  std::ptrdiff_t padded() const { return padded_; }
  void widen(const char* x, float* out) const;
  /** True if rows of x that were widened for the other, of the same element type and depth, serve this one.
   */
  bool widens_like(const WeightView& other) const {
    return packed_ == other.packed_ && summed_group_ == other.summed_group_ && functions_ == other.functions_;
  }
  /** Row o as it is, of a packed matrix in the bits of mx::dequantize. */
  void copy_row(std::int64_t o, char* out) const;

  /** Parts of the outputs that are worth a task begin at multiples of this. */
  int unit(int rows) const { return rows > kNarrowRows || turns_x() ? kTileColumns : 24; }
  /** The most tasks into which to split that many units. */
  int most_tasks(int units) const { return turns_x() ? std::min(units, 2 * threads()) : units; }

  /**
   * Rows of x, widened, times rows [begin, end) of matrix `which`. Row r, column `begin` of the result comes
   * to out + r * out_stride elements. Uses thread_scratch slot 1.
   */
  void multiply(int which, const float* x, int rows, int begin, int end, char* out,
                std::int64_t out_stride) const;

 private:
  bool turns_x() const { return functions_->turns_x[element_]; }

  const RowFunctions* functions_ = nullptr;
  int element_ = 0;
  std::int64_t size_ = 0;
  int inputs_ = 0, outputs_ = 0, count_ = 1;
  std::ptrdiff_t padded_ = 0;
  bool packed_ = false;
  int summed_group_ = 0;  // elements whose sums stand behind a row of x, affine only
  const char* floats_ = nullptr;
  std::int64_t floats_stride_ = 0;  // elements from row to row
  PackedRows rows_{};
  std::int64_t steps_[3] = {};  // bytes from matrix to matrix, of each array
};

}  // namespace mlx_gemma::kernels
