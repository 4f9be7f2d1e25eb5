// Rotation of halves. Scalar reference, with c and s of the row's own position rounded to the dtype:
//
//   out[j]       = round(round(x[j] * c[j]) - round(x[j + d/2] * s[j]))
//   out[j + d/2] = round(round(x[j + d/2] * c[j]) + round(x[j] * s[j]))
#include "direct.h"
#include "mlx/allocator.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

class RopeTable : public CpuPrimitive {
 public:
  RopeTable(mx::Stream stream, int position) : CpuPrimitive(stream), position_(position) {}
  const char* name() const override { return "GemmaRopeTable"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array frequencies = dense(inputs[0], encoder);
    encoder.set_input_array(frequencies);
    encoder.set_output_array(out);
    encoder.dispatch([table = row_functions().rope_table[static_cast<int>(element_of(out, "rope_table"))],
                      from = frequencies.data<float>(), to = bytes_of(out), rows = out.shape(1),
                      half = out.shape(2), row = out.shape(2) * out.itemsize(), position = position_]() {
      constexpr double kCost = 16;  // a sine and cosine against a multiply-add
      parallel_rows(rows, kCost * rows * half, [&](std::int64_t t) {
        table(from, half, static_cast<float>(position + t), to + t * row, to + (rows + t) * row);
      });
    });
  }

 private:
  int position_;
};

class Rope : public CpuPrimitive {
 public:
  explicit Rope(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "GemmaRope"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense_rows(inputs[0], encoder);
    const array table = dense(inputs[1], encoder);
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
    encoder.set_input_array(table);
    encoder.set_output_array(out);
    const std::int64_t size = static_cast<std::int64_t>(out.itemsize());
    const direct::RopeJob job{.x = RowView(x),
                              .heads = heads,
                              .rows = rows,
                              .half = width / 2,
                              .table = bytes_of(table),
                              .out = bytes_of(out),
                              .head_step = head_step * size,
                              .row_step = row_step * size};
    encoder.dispatch(
        [element = static_cast<int>(element_of(out, "rope")), job]() { direct::rope(element, job); });
  }
};

}  // namespace

void direct::rope(int element, const RopeJob& job) {
  const auto rotate = row_functions().rope_row[element];
  const std::int64_t row = job.half * element_size(element);
  const int tasks = task_count(4.0 * job.rows * job.half * job.heads, job.rows);
  parallel_for(tasks, [&](int task) {
    const int first = static_cast<int>(std::int64_t{job.rows} * task / tasks);
    const int last = static_cast<int>(std::int64_t{job.rows} * (task + 1) / tasks);
    for (int t = first; t < last; ++t) {
      const char* cos = job.table + t * row;
      const char* sin = cos + job.rows * row;
      for (int h = 0; h < job.heads; ++h) {
        const char* x = job.x.row(static_cast<std::int64_t>(h) * job.rows + t);
        rotate(x, cos, sin, job.half, job.out + h * job.head_step + t * job.row_step);
      }
    }
  });
}

array rope_table(const array& inverse_frequencies, int position, int rows, mx::Dtype dtype) {
  require(inverse_frequencies.ndim() == 1 && inverse_frequencies.dtype() == mx::float32 && rows > 0,
          "rope_table", "expected inverse_frequencies (d / 2) in float32, and rows");
  if (!own_kernels()) return operations::rope_table(inverse_frequencies, position, rows, dtype);
  return array({2, rows, inverse_frequencies.shape(0)}, dtype,
               std::make_shared<RopeTable>(current_stream(), position), {inverse_frequencies});
}

array rope(const array& x, const array& table) {
  element_of(x, "rope");
  require(x.ndim() == 4 && x.shape(0) == 1 && x.shape(3) % 2 == 0, "rope",
          "expected x (1, heads, T, d), d even");
  require(table.ndim() == 3 && table.shape(0) == 2 && table.shape(2) == x.shape(3) / 2 &&
              table.shape(1) == x.shape(2) && table.dtype() == x.dtype(),
          "rope", "expected a table (2, T, d / 2) in the dtype of x");
  if (!own_kernels()) return operations::rope(x, table);
  return array(x.shape(), x.dtype(), std::make_shared<Rope>(current_stream()), {x, table});
}

}  // namespace mlx_gemma::kernels
