// How primitives with matrices among their inputs put them there and read them.
#pragma once

#include <optional>
#include <vector>

#include "blocks.h"
#include "weight_view.h"

namespace mlx_gemma::kernels {

/** How each matrix among a primitive's inputs is packed, in their order. */
using Packings = std::vector<std::optional<PackedAs>>;

/** Puts a matrix behind a primitive's inputs, and how it is packed behind `packings`. */
void append(const Matrix& matrix, std::vector<array>& inputs, Packings& packings);

/** Throws std::invalid_argument unless the matrix takes rows of `inputs`. */
void check_matrix(const Matrix& matrix, int inputs, const char* kernel);

/** True if it is packed, or of that dtype. */
bool packed_or(mx::Dtype dtype, const Matrix& matrix);

/** The arrays that it consists of, and how it is packed. */
std::vector<array> parts_of(const Matrix& matrix);
std::optional<PackedAs> packing_of(const Matrix& matrix);

/** Hands a primitive's inputs out one by one, in the order in which they were put in. */
class Inputs {
 public:
  Inputs(const std::vector<array>& inputs, const Packings& packings, Element element,
         mx::cpu::CommandEncoder& encoder)
      : inputs_(inputs), packings_(packings), element_(element), encoder_(encoder) {}

  /** The next one, its last axis dense; its memory lives until the task is done. */
  array next() {
    const array a = dense_rows(inputs_[at_++], encoder_);
    encoder_.set_input_array(a);
    return a;
  }
  /** The next one, all of it dense. */
  array dense() {
    const array a = kernels::dense(inputs_[at_++], encoder_);
    encoder_.set_input_array(a);
    return a;
  }
  const char* vector() { return bytes_of(dense()); }
  WeightView matrix() {
    const std::optional<PackedAs>& packed = packings_[matrices_++];
    const int count = !packed ? 1 : packed->mode == QuantizationMode::affine ? 3 : 2;
    const auto first = inputs_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += count;
    return WeightView(dense_rows({first, first + count}, encoder_), packed, element_);
  }

 private:
  const std::vector<array>& inputs_;
  const Packings& packings_;
  Element element_;
  mx::cpu::CommandEncoder& encoder_;
  std::size_t at_ = 0, matrices_ = 0;
};

}  // namespace mlx_gemma::kernels
