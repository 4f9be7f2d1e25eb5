#include "gemma4/weights.h"

#include <sstream>
#include <stdexcept>

#include "kernels/kernels.h"
#include "mlx/ops.h"

namespace mlx_gemma::gemma4 {

namespace mx = mlx::core;

namespace {

std::string describe(const Shape& shape) {
  std::ostringstream text;
  text << "(";
  for (size_t i = 0; i < shape.size(); ++i) text << (i > 0 ? ", " : "") << shape[i];
  text << ")";
  return text.str();
}

std::string describe(Dtype dtype) {
  std::ostringstream text;
  text << dtype;
  return text.str();
}

const array& embedding_table(const Weights& weights, const std::string& name, int rows, int dims) {
  const array& table = weights.at(name);
  if (table.ndim() != 2 || table.shape(0) < rows) {
    throw std::invalid_argument("tensor " + name + ": expected " + std::to_string(rows) +
                                " rows, found shape " + describe(table.shape()));
  }
  return weights.at(name, {table.shape(0), dims});
}

}  // namespace

Weights::Weights(std::unordered_map<std::string, array> by_name)
    : by_name_(std::move(by_name)), dtype_(at("embed_tokens.weight").dtype()) {
  if (!mx::issubdtype(dtype_, mx::floating) || dtype_ == mx::float64) {
    throw std::invalid_argument("tensor embed_tokens.weight: expected bfloat16, float16 or float32, found " +
                                describe(dtype_));
  }
}

const array& Weights::at(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw std::invalid_argument("tensor " + name + " is missing");
  return found->second;
}

const array& Weights::at(const std::string& name, const Shape& shape) const {
  const array& tensor = at(name);
  if (tensor.shape() != shape) {
    throw std::invalid_argument("tensor " + name + ": expected shape " + describe(shape) + ", found " +
                                describe(tensor.shape()));
  }
  if (tensor.dtype() != dtype_) {
    throw std::invalid_argument("tensor " + name + ": expected " + describe(dtype_) +
                                " like embed_tokens.weight, found " + describe(tensor.dtype()));
  }
  return tensor;
}

Linear::Linear(const Weights& weights, const std::string& name, int in, int out)
    : weight_(weights.at(name + ".weight", {out, in})) {}

array Linear::operator()(const array& x) const { return kernels::linear(x, weight_); }

Embedding::Embedding(const Weights& weights, const std::string& name, int rows, int dims, double scale)
    : weight_(embedding_table(weights, name + ".weight", rows, dims)),
      scale_(static_cast<float>(scale), weights.dtype()) {}

array Embedding::operator()(const array& ids) const {
  return mx::multiply(mx::take(weight_, ids, 0), scale_);
}

array Embedding::as_linear(const array& x) const { return kernels::linear(x, weight_); }

RmsNorm::RmsNorm(const Weights& weights, const std::string& name, int dims, float eps)
    : weight_(weights.at(name + ".weight", {dims})), eps_(eps) {}

array RmsNorm::operator()(const array& x) const { return kernels::rms_norm(x, weight_, eps_); }

array Scale::operator()(const array& x) const {
  if (x.dtype() == mx::float32) return mx::multiply(x, factor_);
  return mx::astype(mx::multiply(mx::astype(x, mx::float32), factor_), x.dtype());
}

}  // namespace mlx_gemma::gemma4
