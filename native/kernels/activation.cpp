// gelu_tanh(gate) * up. Scalar reference, u = sqrt(2/pi) * (g + 0.044715 g³):
//
//   out = round(round(g / (1 + exp(-2 u))) * up)
//
// and the softcap of logits: out = round(round(tanh(round(x / cap))) * cap).
#include <algorithm>

#include "direct.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

class Softcap : public CpuPrimitive {
 public:
  Softcap(mx::Stream stream, float cap) : CpuPrimitive(stream), cap_(cap) {}
  const char* name() const override { return "GemmaSoftcap"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense(inputs[0], encoder);
    encoder.set_input_array(x);
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element_of(out, name())), from = bytes_of(x),
                      to = bytes_of(out), count = static_cast<std::int64_t>(out.size()), cap = cap_]() {
      // An element's bits must not depend on its place: parts are whole groups of every instruction set.
      constexpr std::int64_t kPart = 1024;
      constexpr double kCost = 12;  // an exp and two divisions against a multiply-add
      const std::int64_t parts = (count + kPart - 1) / kPart, size = element_size(element);
      const int tasks = task_count(kCost * static_cast<double>(count), static_cast<int>(parts));
      parallel_for(tasks, [&](int task) {
        const std::int64_t begin = parts * task / tasks * kPart;
        const std::int64_t end = std::min(parts * (task + 1) / tasks * kPart, count);
        row_functions().softcap[element](from + begin * size, end - begin, cap, to + begin * size);
      });
    });
  }

 private:
  float cap_;
};

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
  parallel_rows(rows, kCost * static_cast<double>(rows) * width,
                [&](std::int64_t r) { kernel(gate.row(r), up.row(r), width, out + r * row_bytes); });
}

void direct::add(int element, const char* a, const char* b, std::size_t n, char* out) {
  row_functions().add[element](a, b, n, out);
}

void direct::scale(int element, const char* x, const char* factor, std::size_t n, char* out) {
  row_functions().scale[element](x, float_at(element, factor, 0), n, out);
}

array softcap(const array& x, float cap) {
  element_of(x, "softcap");
  require(cap > 0, "softcap", "expected a positive cap");
  if (!own_kernels()) return operations::softcap(x, cap);
  return array(x.shape(), x.dtype(), std::make_shared<Softcap>(current_stream(), cap), {x});
}

array gelu_multiply(const array& gate, const array& up) {
  element_of(gate, "gelu_multiply");
  require(gate.shape() == up.shape() && gate.dtype() == up.dtype() && gate.ndim() >= 1, "gelu_multiply",
          "expected two arrays of one shape and dtype");
  if (!own_kernels()) return operations::gelu_multiply(gate, up);
  return array(gate.shape(), gate.dtype(), std::make_shared<GeluMultiply>(current_stream()), {gate, up});
}

}  // namespace mlx_gemma::kernels
