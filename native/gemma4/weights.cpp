#include "gemma4/weights.h"

#include <sstream>
#include <stdexcept>

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

[[noreturn]] void fail(const std::string& name, const std::string& expected, const std::string& found) {
  throw std::invalid_argument("tensor " + name + ": expected " + expected + ", found " + found);
}

/** `shape` with another last axis. */
Shape with_last(Shape shape, int last) {
  shape.back() = last;
  return shape;
}

}  // namespace

Weights::Weights(std::unordered_map<std::string, array> by_name, Quantizations quantizations)
    : by_name_(std::move(by_name)),
      quantizations_(std::move(quantizations)),
      dtype_(at("norm.weight").dtype()) {
  if (!mx::issubdtype(dtype_, mx::floating) || dtype_ == mx::float64) {
    fail("norm.weight", "bfloat16, float16 or float32", describe(dtype_));
  }
}

const array& Weights::at(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw std::invalid_argument("tensor " + name + " is missing");
  return found->second;
}

void Weights::expect(const std::string& name, const Shape& shape, Dtype dtype) const {
  const array& tensor = at(name);
  if (tensor.shape() != shape) fail(name, "shape " + describe(shape), describe(tensor.shape()));
  if (tensor.dtype() != dtype) {
    fail(name, describe(dtype) + (dtype == dtype_ ? " like norm.weight" : ""), describe(tensor.dtype()));
  }
}

const array& Weights::at(const std::string& name, const Shape& shape) const {
  expect(name, shape, dtype_);
  return at(name);
}

StoredWeight Weights::stored(const std::string& module, const Shape& shape) const {
  const std::string name = module + ".weight";
  const auto found = quantizations_.find(module);
  if (found == quantizations_.end()) return at(name, shape);
  const auto& [group_size, bits, mode] = found->second;
  const int64_t row_bits = int64_t{shape.back()} * bits;
  if (group_size <= 0 || bits <= 0 || shape.back() % group_size != 0 || row_bits % 32 != 0) {
    fail(name, "rows of a whole number of groups",
         std::to_string(shape.back()) + " values in groups of " + std::to_string(group_size) + " with " +
             std::to_string(bits) + " bits");
  }
  const bool affine = mode == kernels::QuantizationMode::affine;
  const Shape groups = with_last(shape, shape.back() / group_size);
  expect(name, with_last(shape, static_cast<int>(row_bits / 32)), mx::uint32);
  expect(module + ".scales", groups, affine ? dtype_ : mx::uint8);
  if (affine) expect(module + ".biases", groups, dtype_);
  kernels::QuantizedWeight packed{.weight = at(name),
                                  .scales = at(module + ".scales"),
                                  .biases = std::nullopt,
                                  .group_size = group_size,
                                  .bits = bits,
                                  .mode = mode};
  if (affine) packed.biases = at(module + ".biases");
  try {
    packed.check(static_cast<int>(shape.size()));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("tensor " + name + ": " + error.what());
  }
  return packed;
}

StoredWeight Weights::stored_table(const std::string& module, int rows, int dims) const {
  const array& table = at(module + ".weight");
  if (table.ndim() != 2 || table.shape(0) < rows) {
    fail(module + ".weight", std::to_string(rows) + " rows", "shape " + describe(table.shape()));
  }
  return stored(module, {table.shape(0), dims});
}

array Linear::operator()(const array& x) const { return kernels::project(x, weight_); }

Embedding::Embedding(const Weights& weights, const std::string& name, int rows, int dims, double scale)
    : weight_(weights.stored_table(name, rows, dims)), scale_(static_cast<float>(scale), weights.dtype()) {}

array Embedding::operator()(const array& ids) const { return kernels::embedding(weight_, ids, scale_); }

array Embedding::as_linear(const array& x) const { return kernels::project(x, weight_); }

RmsNorm::RmsNorm(const Weights& weights, const std::string& name, int dims, float eps)
    : weight_(weights.at(name + ".weight", {dims})), eps_(eps) {}

array RmsNorm::operator()(const array& x) const { return kernels::rms_norm(x, weight_, eps_); }

}  // namespace mlx_gemma::gemma4
