// The seam between layers and stored tensors: a layer asks for a Linear, an Embedding or a norm by name and
// never sees what is behind it, so that other storage (quantized, stacked experts) is added here alone.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "mlx/array.h"

namespace mlx_gemma::gemma4 {

using mlx::core::array;
using mlx::core::Dtype;
using mlx::core::Shape;

/** Tensors by canonical name: the checkpoint's, without the prefix of the text model. */
class Weights {
 public:
  /** Takes all tensors; those that no layer asks for are dropped with this object. */
  explicit Weights(std::unordered_map<std::string, array> by_name);

  /** The tensor `name`. Throws unless it is there, of `shape` and of the model's dtype. */
  const array& at(const std::string& name, const Shape& shape) const;
  /** The tensor `name` of any shape. */
  const array& at(const std::string& name) const;
  /** The one dtype of all weights and activations: that of `embed_tokens.weight`. */
  Dtype dtype() const { return dtype_; }

 private:
  std::unordered_map<std::string, array> by_name_;
  Dtype dtype_;
};

/** `x · Wᵀ`, no bias. */
class Linear {
 public:
  /** Reads `name`.weight, (out, in). */
  Linear(const Weights& weights, const std::string& name, int in, int out);
  /** (…, in) → (…, out) */
  array operator()(const array& x) const;
  size_t nbytes() const { return weight_.nbytes(); }

 private:
  array weight_;
};

/** Scaled word embedding, and the tied head (Gemma4TextScaledWordEmbedding in modeling_gemma4.py). */
class Embedding {
 public:
  /** Reads `name`.weight, (at least `rows`, dims). `scale` is rounded to the weights' dtype, as in the
   * reference. */
  Embedding(const Weights& weights, const std::string& name, int rows, int dims, double scale);
  /** ids int32 (…) → (…, dims), times the scale. Ids are not checked: that would need their values. */
  array operator()(const array& ids) const;
  /** `x · Wᵀ` without the scale: (…, dims) → (…, rows). */
  array as_linear(const array& x) const;
  size_t nbytes() const { return weight_.nbytes(); }

 private:
  array weight_;
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

/**
 * `x` times a number as torch does it with a Python float: in float32, rounded once to the dtype of `x`. (The
 * factor itself is not rounded to bfloat16.)
 */
class Scale {
 public:
  explicit Scale(double factor) : factor_(static_cast<float>(factor), mlx::core::float32) {}
  array operator()(const array& x) const;

 private:
  array factor_;
};

}  // namespace mlx_gemma::gemma4
