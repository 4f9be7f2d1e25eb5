// RMSNorm over the last axis. Scalar reference, with L lanes for the first and L for the second vectors of
// pairs:
//
//   first[i] += x², second[i] += x² over the row; mean = sum(first + second) / n
//   out = round(x * (1 / sqrt(mean + eps)) * weight), in float32
#include "direct.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

class RmsNorm : public CpuPrimitive {
 public:
  RmsNorm(mx::Stream stream, float eps) : CpuPrimitive(stream), eps_(eps) {}
  const char* name() const override { return "GemmaRmsNorm"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense_rows(inputs[0], encoder);
    encoder.set_input_array(x);
    const char* weight = nullptr;
    if (inputs.size() > 1) {
      const array w = dense(inputs[1], encoder);
      encoder.set_input_array(w);
      weight = bytes_of(w);
    }
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element_of(out, "rms_norm")), view = RowView(x), weight,
                      width = out.shape(-1), eps = eps_,
                      to = bytes_of(out)]() { direct::rms_norm(element, view, weight, width, eps, to); });
  }

 private:
  float eps_;
};

}  // namespace

void direct::rms_norm(int element, const RowView& x, const char* weight, int width, float eps, char* out) {
  const auto kernel = row_functions().rms_norm[element];
  const std::int64_t row_bytes = width * element_size(element);
  parallel_rows(x.rows, 2.0 * static_cast<double>(x.rows) * width,
                [&](std::int64_t r) { kernel(x.row(r), weight, width, eps, out + r * row_bytes); });
}

array rms_norm(const array& x, const std::optional<array>& weight, float eps) {
  element_of(x, "rms_norm");
  require(x.ndim() >= 1 && (!weight || (weight->ndim() == 1 && weight->shape(0) == x.shape(-1))), "rms_norm",
          "expected x (..., n) and weight (n)");
  if (!own_kernels()) return operations::rms_norm(x, weight, eps);
  if (weight && weight->dtype() != x.dtype()) {
    // Each in its own precision, and one rounding at the end.
    const array wide = rms_norm(mx::astype(x, mx::float32), mx::astype(*weight, mx::float32), eps);
    return mx::astype(wide, x.dtype());
  }
  std::vector<array> inputs{x};
  if (weight) inputs.push_back(*weight);
  return array(x.shape(), x.dtype(), std::make_shared<RmsNorm>(current_stream(), eps), std::move(inputs));
}

}  // namespace mlx_gemma::kernels
