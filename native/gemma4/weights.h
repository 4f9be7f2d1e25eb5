// The seam between layers and stored tensors: a layer asks for a Linear, an Embedding or a norm by name and
// never sees what is behind it: plain floats, or packed as the checkpoint's quantization says.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "kernels/blocks.h"
#include "mlx/array.h"

namespace mlx_gemma::gemma4 {

using mlx::core::array;
using mlx::core::Dtype;
using mlx::core::Shape;

/** How a module's weight is packed (kernels::QuantizedWeight). */
struct Quantization {
  int group_size = 0;
  int bits = 0;
  kernels::QuantizationMode mode = kernels::QuantizationMode::affine;
};

/** By module: the tensor's name without `.weight`. */
using Quantizations = std::unordered_map<std::string, Quantization>;

/** A weight as it is stored. */
using StoredWeight = kernels::Matrix;

/** Tensors by canonical name: the checkpoint's, without the prefix of the text model. */
class Weights {
 public:
  /** Takes all tensors; those that no layer asks for are dropped with this object. */
  explicit Weights(std::unordered_map<std::string, array> by_name, Quantizations quantizations = {});

  bool has(const std::string& name) const { return by_name_.contains(name); }
  /** The tensor `name`. Throws unless it is there, of `shape` and of the model's dtype. */
  const array& at(const std::string& name, const Shape& shape) const;
  /** The tensor `name` of any shape. */
  const array& at(const std::string& name) const;

  /**
   * `module`.weight, which holds (…, O, I) values; with `module`.scales and .biases where it is packed.
   * Throws unless they are there, of the shapes that belong to it, floats of the model's dtype.
   */
  StoredWeight stored(const std::string& module, const Shape& shape) const;
  /** The same for (rows, dims) values with any number of rows that is at least `rows`. */
  StoredWeight stored_table(const std::string& module, int rows, int dims) const;

  /** The one dtype of activations, norms and all weights that are not packed: that of `norm.weight`. */
  Dtype dtype() const { return dtype_; }

 private:
  void expect(const std::string& name, const Shape& shape, Dtype dtype) const;

  std::unordered_map<std::string, array> by_name_;
  Quantizations quantizations_;
  Dtype dtype_;
};

/** `x · Wᵀ`, no bias. */
class Linear {
 public:
  /** Reads `name`.weight, (out, in). */
  Linear(const Weights& weights, const std::string& name, int in, int out)
      : weight_(weights.stored(name, {out, in})) {}
  /** (…, in) → (…, out) */
  array operator()(const array& x) const;

 private:
  StoredWeight weight_;
};

/** Scaled word embedding, and the tied head (Gemma4TextScaledWordEmbedding in modeling_gemma4.py). */
class Embedding {
 public:
  /** Reads `name`.weight, (at least `rows`, dims). `scale` is rounded to the model's dtype, as in the
   * reference; so are the values of packed rows before they are scaled, as mlx-vlm does it. */
  Embedding(const Weights& weights, const std::string& name, int rows, int dims, double scale);
  /** ids int32 (…) → (…, dims), times the scale. Ids are not checked: that would need their values. */
  array operator()(const array& ids) const;
  /** `x · Wᵀ` without the scale: (…, dims) → (…, rows). */
  array as_linear(const array& x) const;

 private:
  StoredWeight weight_;
  array scale_;
};

/** RMSNorm over the last axis (Gemma4RMSNorm in modeling_gemma4.py). */
class RmsNorm {
 public:
  /** Without weight: v_norm. */
  explicit RmsNorm(float eps) : eps_(eps) {}
  /** Reads `name`.weight, (dims). */
  RmsNorm(const Weights& weights, const std::string& name, int dims, float eps);
  array operator()(const array& x) const;

 private:
  std::optional<array> weight_;
  float eps_;
};

}  // namespace mlx_gemma::gemma4
