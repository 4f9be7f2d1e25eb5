#include "arrays.h"

namespace mlx_gemma::kernels {

std::optional<QuantizationMode> quantization_mode(const std::string& name) {
  if (name == "affine") return QuantizationMode::affine;
  if (name == "mxfp4") return QuantizationMode::mxfp4;
  if (name == "mxfp8") return QuantizationMode::mxfp8;
  if (name == "nvfp4") return QuantizationMode::nvfp4;
  return std::nullopt;
}

const char* name(QuantizationMode mode) {
  switch (mode) {
    case QuantizationMode::affine:
      return "affine";
    case QuantizationMode::mxfp4:
      return "mxfp4";
    case QuantizationMode::mxfp8:
      return "mxfp8";
    case QuantizationMode::nvfp4:
      return "nvfp4";
  }
  return "";
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

}  // namespace mlx_gemma::kernels
