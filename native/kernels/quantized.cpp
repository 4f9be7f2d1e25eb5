#include "arrays.h"
#include "mlx/ops.h"
#include "mlx_operations.h"

namespace mlx_gemma::kernels {

std::optional<QuantizationMode> quantization_mode(const std::string& name) {
  if (name == "affine") return QuantizationMode::affine;
  if (name == "mxfp4") return QuantizationMode::mxfp4;
  if (name == "mxfp8") return QuantizationMode::mxfp8;
  if (name == "nvfp4") return QuantizationMode::nvfp4;
  return std::nullopt;
}

namespace {

bool packing_exists(const QuantizedWeight& w) {
  const int b = w.bits, g = w.group_size;
  switch (w.mode) {
    case QuantizationMode::affine:
      return ((b >= 2 && b <= 6) || b == 8) && (g == 32 || g == 64 || g == 128);
    case QuantizationMode::mxfp4:
      return b == 4 && g == 32;
    case QuantizationMode::mxfp8:
      return b == 8 && g == 32;
    case QuantizationMode::nvfp4:
      return b == 4 && g == 16;
  }
  return false;
}

}  // namespace

void QuantizedWeight::check(int ndim) const {
  const char* kernel = "quantized weight";
  require(
      packing_exists(*this), kernel,
      "expected affine with 2, 3, 4, 5, 6 or 8 bits and groups of 32, 64 or 128; mxfp4 (4, 32); mxfp8 (8, "
      "32); or nvfp4 (4, 16)");
  require(static_cast<int>(weight.ndim()) == ndim && weight.dtype() == mx::uint32, kernel,
          ndim == 2 ? "expected packed uint32 (O, I * bits / 32)"
                    : "expected packed uint32 (E, O, I * bits / 32)");
  const std::int64_t bits_of_row = std::int64_t{32} * weight.shape(-1);
  require(bits_of_row > 0 && bits_of_row % (bits * group_size) == 0, kernel,
          "expected rows of whole groups: I a multiple of group_size");
  mx::Shape shape = weight.shape();
  shape.back() = inputs() / group_size;
  require(scales.shape() == shape, kernel, "expected one scale for each group: (..., O, I / group_size)");
  if (mode == QuantizationMode::affine) {
    element_of(scales, kernel);
    require(biases.has_value() && biases->shape() == shape && biases->dtype() == scales.dtype(), kernel,
            "expected biases like the scales");
  } else {
    require(scales.dtype() == mx::uint8, kernel, "expected uint8 scales");
    require(!biases, kernel, "expected no biases: only affine has them");
  }
}

namespace {

void check_indices(const array& indices, const char* kernel) {
  require(indices.dtype() == mx::int32 || indices.dtype() == mx::uint32, kernel,
          "expected int32 or uint32 indices");
}

}  // namespace

array quantized_linear(const array& x, const QuantizedWeight& weight) {
  weight.check(2);
  element_of(x, "quantized_linear");
  require(x.ndim() >= 1 && x.shape(-1) == weight.inputs(), "quantized_linear",
          "expected x (..., I) and weight (O, I)");
  return operations::quantized_linear(x, weight);
}

array dequantize_rows(const QuantizedWeight& weight, const array& rows, mx::Dtype dtype) {
  weight.check(2);
  check_indices(rows, "dequantize_rows");
  return operations::dequantize_rows(weight, rows, dtype);
}

namespace {

void check_experts(const array& x, const array& indices, int inputs) {
  const char* kernel = "experts_linear";
  element_of(x, kernel);
  check_indices(indices, kernel);
  bool fits = indices.ndim() >= 1 && x.ndim() == indices.ndim() + 1 && x.shape(-1) == inputs;
  for (int axis = 0; fits && axis + 1 < static_cast<int>(indices.ndim()); ++axis) {
    fits = x.shape(axis) == indices.shape(axis);
  }
  fits = fits && (x.shape(-2) == 1 || x.shape(-2) == indices.shape(-1));
  require(fits, kernel, "expected x (..., k or 1, I), indices (..., k) and weight (E, O, I)");
}

}  // namespace

array experts_linear(const array& x, const array& weight, const array& indices) {
  require(weight.ndim() == 3, "experts_linear", "expected weight (E, O, I)");
  check_experts(x, indices, weight.shape(2));
  return operations::experts_linear(x, weight, indices);
}

array experts_linear(const array& x, const QuantizedWeight& weight, const array& indices) {
  weight.check(3);
  check_experts(x, indices, weight.inputs());
  return operations::experts_linear(x, weight, indices);
}

}  // namespace mlx_gemma::kernels
