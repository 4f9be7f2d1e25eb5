#include "inputs.h"

namespace mlx_gemma::kernels {

void check_matrix(const Matrix& matrix, int inputs, const char* kernel) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) {
    packed->check(2);
  } else {
    require(std::get<array>(matrix).ndim() == 2, kernel, "expected matrices (out, in)");
  }
  require(inputs_of(matrix) == inputs, kernel, "a projection takes rows of another length");
}

bool packed_or(mx::Dtype dtype, const Matrix& matrix) {
  const auto* plain = std::get_if<array>(&matrix);
  return plain == nullptr || plain->dtype() == dtype;
}

std::vector<array> parts_of(const Matrix& matrix) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) return with_parts({}, *packed);
  return {std::get<array>(matrix)};
}

std::optional<PackedAs> packing_of(const Matrix& matrix) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) return packed_as(*packed);
  return std::nullopt;
}

void append(const Matrix& matrix, std::vector<array>& inputs, Packings& packings) {
  for (array& part : parts_of(matrix)) inputs.push_back(std::move(part));
  packings.push_back(packing_of(matrix));
}

}  // namespace mlx_gemma::kernels
