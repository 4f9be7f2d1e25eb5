// Rotation of halves. Scalar reference, with c and s of the row's own position rounded to the dtype:
//
//   out[j]       = round(round(x[j] * c[j]) - round(x[j + d/2] * s[j]))
//   out[j + d/2] = round(round(x[j + d/2] * c[j]) + round(x[j] * s[j]))
#include "arrays.h"
#include "mlx/allocator.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

class Rope : public CpuPrimitive {
 public:
  Rope(mx::Stream stream, int position, bool same) : CpuPrimitive(stream), position_(position), same_(same) {}
  const char* name() const override { return "GemmaRope"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense_rows(inputs[0], encoder);
    const array frequencies = dense(inputs[1], encoder);
    const int heads = x.shape(1), rows = x.shape(2), width = x.shape(3);
    // Row t of head h at h * head_step + t * row_step.
    const bool by_rows = heads > 1 && rows > 1 && !x.flags().row_contiguous && x.strides(1) < x.strides(2);
    const std::int64_t head_step = by_rows ? width : static_cast<std::int64_t>(rows) * width;
    const std::int64_t row_step = by_rows ? static_cast<std::int64_t>(heads) * width : width;
    const std::int64_t all = static_cast<std::int64_t>(heads) * rows * width;
    if (by_rows) {
      const mx::array::Flags flags{.contiguous = true, .row_contiguous = false, .col_contiguous = false};
      out.set_data(mx::allocator::malloc(out.nbytes()), out.size(), {all, head_step, row_step, 1}, flags);
    } else {
      allocate(out);
    }
    if (out.size() == 0) return;
    encoder.set_input_array(x);
    encoder.set_input_array(frequencies);
    encoder.set_output_array(out);
    const int element = static_cast<int>(element_of(out, "rope"));
    const std::int64_t size = static_cast<std::int64_t>(out.itemsize());
    encoder.dispatch([&f = row_functions(), view = RowView(x), frequencies = frequencies.data<float>(),
                      to = bytes_of(out), heads, rows, width, head_step = head_step * size,
                      row_step = row_step * size, element, size, position = position_, same = same_]() {
      const int half = width / 2;
      constexpr double kTableCost = 16;  // a sine and cosine against a multiply-add
      const int tasks = task_count(rows * half * (kTableCost + 4.0 * heads), rows);
      parallel_for(tasks, [&](int task) {
        char* cos = reinterpret_cast<char*>(thread_scratch(0, static_cast<std::size_t>(width)));
        char* sin = cos + half * size;
        const int first = static_cast<int>(static_cast<std::int64_t>(rows) * task / tasks);
        const int last = static_cast<int>(static_cast<std::int64_t>(rows) * (task + 1) / tasks);
        for (int t = first; t < last; ++t) {
          if (!same || t == first) {
            const auto at = static_cast<float>(same ? position : position + t);
            f.rope_table[element](frequencies, half, at, cos, sin);
          }
          for (int h = 0; h < heads; ++h) {
            const char* row = view.row(static_cast<std::int64_t>(h) * rows + t);
            f.rope_row[element](row, cos, sin, half, to + h * head_step + t * row_step);
          }
        }
      });
    });
  }

 private:
  int position_;
  bool same_;
};

}  // namespace

array rope(const array& x, const array& inverse_frequencies, int position, bool same_position) {
  element_of(x, "rope");
  require(x.ndim() == 4 && x.shape(0) == 1 && x.shape(3) % 2 == 0, "rope",
          "expected x (1, heads, T, d), d even");
  require(inverse_frequencies.ndim() == 1 && inverse_frequencies.shape(0) == x.shape(3) / 2 &&
              inverse_frequencies.dtype() == mx::float32,
          "rope", "expected inverse_frequencies (d / 2) in float32");
  if (!on_cpu()) return operations::rope(x, inverse_frequencies, position, same_position);
  return array(x.shape(), x.dtype(), std::make_shared<Rope>(current_stream(), position, same_position),
               {x, inverse_frequencies});
}

}  // namespace mlx_gemma::kernels
