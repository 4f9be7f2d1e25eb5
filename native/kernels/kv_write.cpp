// Rows of keys or values into their cache. Scalar reference: buffer[h][offset + t][j] = update[h][t][j].
#include <cstring>

#include "arrays.h"
#include "mlx/ops.h"
#include "mlx_operations.h"

namespace mlx_gemma::kernels {
namespace {

class KvWrite : public CpuPrimitive {
 public:
  KvWrite(mx::Stream stream, int offset) : CpuPrimitive(stream), offset_(offset) {}
  const char* name() const override { return "GemmaKvWrite"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    // A buffer that is not dense (a broadcast, say) has no rows to write into: then the result is a dense
    // copy.
    const array buffer = dense(inputs[0], encoder);
    const array update = dense_rows(inputs[1], encoder);
    out.copy_shared_buffer(buffer);
    encoder.set_input_array(update);
    encoder.set_output_array(out);
    const std::size_t row = static_cast<std::size_t>(out.shape(3)) * out.itemsize();
    const std::int64_t heads = static_cast<std::int64_t>(out.shape(0)) * out.shape(1);
    encoder.dispatch([view = RowView(update), to = bytes_of(out) + offset_ * row, row, heads,
                      stride = out.shape(2) * row, rows = update.shape(2)]() {
      for (std::int64_t h = 0; h < heads; ++h) {
        for (int t = 0; t < rows; ++t) std::memcpy(to + h * stride + t * row, view.row(h * rows + t), row);
      }
    });
  }

 private:
  int offset_;
};

}  // namespace

array kv_write(const array& buffer, const array& update, int offset) {
  require(buffer.ndim() == 4 && update.ndim() == 4, "kv_write", "expected (1, kv_heads, rows, d) twice");
  require(buffer.shape(0) == update.shape(0) && buffer.shape(1) == update.shape(1) &&
              buffer.shape(3) == update.shape(3),
          "kv_write", "buffer and update differ in more than their rows");
  require(offset >= 0 && update.shape(2) <= buffer.shape(2) - offset, "kv_write",
          "rows outside of the buffer");
  if (!own_kernels()) return operations::kv_write(buffer, update, offset);
  return array(buffer.shape(), buffer.dtype(), std::make_shared<KvWrite>(current_stream(), offset),
               {buffer, mx::astype(update, buffer.dtype())});
}

}  // namespace mlx_gemma::kernels
