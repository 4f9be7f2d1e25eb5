// gelu_tanh(gate) * up. Scalar reference, u = sqrt(2/pi) * (g + 0.044715 g³):
//
//   out = round(round(g / (1 + exp(-2 u))) * up)
#include "direct.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

class GeluMultiply : public CpuPrimitive {
 public:
  explicit GeluMultiply(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "GemmaGeluMultiply"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array gate = dense_rows(inputs[0], encoder);
    const array up = dense_rows(inputs[1], encoder);
    encoder.set_input_array(gate);
    encoder.set_input_array(up);
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element_of(out, "gelu_multiply")), g = RowView(gate),
                      u = RowView(up), width = out.shape(-1),
                      to = bytes_of(out)]() { direct::gelu_multiply(element, g, u, width, to); });
  }
};

}  // namespace

void direct::gelu_multiply(int element, const RowView& gate, const RowView& up, int width, char* out) {
  constexpr double kCost = 8;  // an exp against a multiply-add
  const auto kernel = row_functions().gelu_multiply[element];
  const std::int64_t rows = gate.rows, row_bytes = width * element_size(element);
  const int tasks = task_count(kCost * static_cast<double>(rows) * width, static_cast<int>(rows));
  parallel_for(tasks, [&](int task) {
    for (std::int64_t r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) {
      kernel(gate.row(r), up.row(r), width, out + r * row_bytes);
    }
  });
}

void direct::add(int element, const char* a, const char* b, std::size_t n, char* out) {
  row_functions().add[element](a, b, n, out);
}

void direct::scale(int element, const char* x, const char* factor, std::size_t n, char* out) {
  row_functions().scale[element](x, factor, n, out);
}

array gelu_multiply(const array& gate, const array& up) {
  element_of(gate, "gelu_multiply");
  require(gate.shape() == up.shape() && gate.dtype() == up.dtype() && gate.ndim() >= 1, "gelu_multiply",
          "expected two arrays of one shape and dtype");
  if (!on_cpu()) return operations::gelu_multiply(gate, up);
  return array(gate.shape(), gate.dtype(), std::make_shared<GeluMultiply>(current_stream()), {gate, up});
}

}  // namespace mlx_gemma::kernels
