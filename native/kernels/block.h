// What the blocks' primitives share.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "blocks.h"
#include "direct.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {

/** Rows from which on a block is its composition: then the nodes cost little, and scratch would be large. */
constexpr int kBlockRows = 64;

/** How each matrix among a primitive's inputs is packed, in their order. */
using Packings = std::vector<std::optional<PackedAs>>;

/** Puts a matrix behind a primitive's inputs, and how it is packed behind `packings`. */
void append(const Matrix& matrix, std::vector<array>& inputs, Packings& packings);

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
  /** The next one as it is. */
  const array& raw() { return inputs_[at_++]; }
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
    const std::vector<array> parts(inputs_.begin() + at_, inputs_.begin() + at_ + count);
    at_ += count;
    return WeightView(parts, packed, element_, encoder_);
  }

 private:
  const std::vector<array>& inputs_;
  const Packings& packings_;
  Element element_;
  mx::cpu::CommandEncoder& encoder_;
  std::size_t at_ = 0, matrices_ = 0;
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

/** A primitive and what it takes, h first: a node that is not in the graph yet. */
struct Part {
  std::shared_ptr<mx::Primitive> primitive;
  std::vector<array> inputs;
};

/** The halves of a decoder layer as primitives; nothing where they are compositions. See blocks.h. */
std::optional<Part> attention_part(const array& h, const AttentionLayer& layer, const array& rope_table,
                                   const KeyRows& seen);
/** Its outputs are those of AttentionOutput. */
std::optional<Part> attention_part(const array& h, const AttentionLayer& layer, const array& rope_table,
                                   const CacheRows& cache);
std::optional<Part> feed_forward_part(const array& h, const FeedForwardLayer& layer,
                                      const std::optional<PerLayerRows>& per_layer);

/** The node of a part with one output, like h; and of one whose outputs are those of AttentionOutput. */
array node(Part part, const array& h);
AttentionOutput node(Part part, const array& h, const CacheRows& cache);

/** Throws std::invalid_argument unless the matrix takes rows of `inputs`. */
void check_matrix(const Matrix& matrix, int inputs, const char* block);

/** True if a block of these may be one primitive: on a CPU, few rows, weights packed or of the rows' dtype.
 */
bool fits_primitive(const array& h, std::initializer_list<const Matrix*> matrices);

}  // namespace mlx_gemma::kernels
