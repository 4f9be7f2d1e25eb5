#include <algorithm>

#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"
#include "weight_view.h"

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

namespace {

class DequantizeRows : public CpuPrimitive {
 public:
  DequantizeRows(mx::Stream stream, PackedAs packed) : CpuPrimitive(stream), packed_(packed) {}
  const char* name() const override { return "GemmaDequantizeRows"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array indices = dense(inputs[0], encoder);
    encoder.set_input_array(indices);
    const WeightView matrix({inputs.begin() + 1, inputs.end()}, packed_, element_of(out, "dequantize_rows"),
                            encoder);
    encoder.set_output_array(out);
    const auto rows = static_cast<std::int64_t>(indices.size());
    encoder.dispatch([m = matrix, chosen = indices.data<std::uint32_t>(), to = bytes_of(out), rows]() {
      const int tasks = task_count(2.0 * static_cast<double>(rows) * m.inputs(), static_cast<int>(rows));
      parallel_for(tasks, [&](int task) {
        for (std::int64_t r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) {
          // An index that is none reads the last row: no other memory.
          const std::int64_t row = std::min<std::int64_t>(chosen[r], m.outputs() - 1);
          m.dequantize(row, to + r * m.inputs() * m.size());
        }
      });
    });
  }

 private:
  PackedAs packed_;
};

}  // namespace

array dequantize_rows(const QuantizedWeight& weight, const array& rows, mx::Dtype dtype) {
  weight.check(2);
  check_indices(rows, "dequantize_rows");
  if (!own_kernels()) return operations::dequantize_rows(weight, rows, dtype);
  mx::Shape shape = rows.shape();
  shape.push_back(weight.inputs());
  return array(std::move(shape), dtype, std::make_shared<DequantizeRows>(current_stream(), packed_as(weight)),
               with_parts({rows}, weight));
}

}  // namespace mlx_gemma::kernels
