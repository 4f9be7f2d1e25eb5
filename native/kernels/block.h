// What the blocks' primitives share.
#pragma once

#include <initializer_list>
#include <vector>

#include "blocks.h"
#include "direct.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {

/** Rows from which on a block is its composition: then the nodes cost little, and scratch would be large. */
constexpr int kBlockRows = 64;

/** A matrix as plain numbers. */
struct MatrixView {
  const char* data = nullptr;
  std::int64_t stride = 0;  // elements
  int columns = 0;
  int depth = 0;

  direct::LinearPart to(char* out) const { return {data, stride, columns, out}; }
};

/** Hands a primitive's inputs out one by one, in the order in which they were put in. */
class Inputs {
 public:
  Inputs(const std::vector<array>& inputs, mx::cpu::CommandEncoder& encoder)
      : inputs_(inputs), encoder_(encoder) {}

  /** The next one, its last axis dense; its memory lives until the task is done. */
  array next() {
    const array a = dense_rows(inputs_[at_++], encoder_);
    encoder_.set_input_array(a);
    return a;
  }
  /** The next one as it is. */
  const array& raw() { return inputs_[at_++]; }
  const char* vector() {
    const array a = dense(inputs_[at_++], encoder_);
    encoder_.set_input_array(a);
    return bytes_of(a);
  }
  MatrixView matrix() {
    const array a = next();
    return {bytes_of(a), a.strides(0), a.shape(0), a.shape(1)};
  }

 private:
  const std::vector<array>& inputs_;
  mx::cpu::CommandEncoder& encoder_;
  std::size_t at_ = 0;
};

/** Cuts pieces off one piece of scratch; each begins at a cache line. */
class Scratch {
 public:
  static constexpr std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  explicit Scratch(std::size_t bytes)
      : at_(reinterpret_cast<char*>(thread_scratch(kBlockScratch, bytes / sizeof(float) + 1))) {}

  char* take(std::size_t bytes) {
    char* piece = at_;
    at_ += rounded(bytes);
    return piece;
  }

 private:
  char* at_;
};

/** True if a block of these may be one primitive: on a CPU, few rows, plain weights of the rows' dtype. */
bool fits_primitive(const array& h, std::initializer_list<const Matrix*> matrices);

}  // namespace mlx_gemma::kernels
