#include "kernels.h"

#include "mlx_operations.h"

namespace mlx_gemma::kernels {

array linear(const array& x, const array& weight) { return operations::linear(x, weight); }
array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask) {
  return operations::attention(q, keys, values, scale, mask);
}
array kv_write(const array& buffer, const array& update, int offset) {
  return operations::kv_write(buffer, update, offset);
}
array gelu_multiply(const array& gate, const array& up) { return operations::gelu_multiply(gate, up); }
array rms_norm(const array& x, const std::optional<array>& weight, float eps) {
  return operations::rms_norm(x, weight, eps);
}
array rope(const array& x, const array& inverse_frequencies, int position, bool same_position) {
  return operations::rope(x, inverse_frequencies, position, same_position);
}
void set_threads(int) {}
int threads() { return 1; }
const char* name() { return "scalar"; }

}  // namespace mlx_gemma::kernels
