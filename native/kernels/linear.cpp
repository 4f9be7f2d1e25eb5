// x · weightᵀ. Scalar reference, with L lanes and blocks of kDepth:
//
//   total = 0
//   for each block of kDepth elements k of the row:
//     lane[0 … L-1] = 0
//     for each pair of vectors in the block: lane[i] += w[first i] * x[first i], then the same with the
//     second total += sum of the lanes, in V::sum's order
//   out = round(total)
#include <algorithm>

#include "direct.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"
#include "weight_view.h"

namespace mlx_gemma::kernels {
namespace {

/** Rows of x as floats in pair order: x itself where it already is that. */
const float* widened(int element, const RowView& x, std::int64_t row, int rows, int depth,
                     std::ptrdiff_t padded) {
  const bool plain = element == static_cast<int>(Element::f32) && padded == depth && x.dense;
  if (plain) return reinterpret_cast<const float*>(x.row(row));
  float* out = thread_scratch(0, static_cast<std::size_t>(rows) * padded);
  const auto widen = row_functions().widen[element];
  const int tasks = task_count(static_cast<double>(rows) * depth, rows);
  parallel_for(tasks, [&](int task) {
    for (int r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) {
      widen(x.row(row + r), depth, out + r * padded);
    }
  });
  return out;
}

/** Rows [row, row + rows) of x with all parts. */
void multiply(int element, const RowView& x, int depth, std::int64_t row, int rows,
              const direct::LinearPart* parts, int count) {
  const RowFunctions& f = row_functions();
  const std::int64_t size = element_size(element);
  const std::ptrdiff_t padded = (depth + f.pair - 1) / f.pair * f.pair;
  const float* wide_x = widened(element, x, row, rows, depth, padded);
  const bool wide = rows > kNarrowRows;
  // Tasks take whole groups of weight rows: 24 is a multiple of 8, 4, 3, 2. They count through all parts.
  const int unit = wide ? kTileColumns : 24;
  const auto units_of = [&](const direct::LinearPart& part) { return (part.columns + unit - 1) / unit; };
  int units = 0;
  double columns = 0;
  for (int i = 0; i < count; ++i) {
    units += units_of(parts[i]);
    columns += parts[i].columns;
  }
  // One row waits for its weights about as long as two would.
  const int tasks = task_count(columns * depth * std::max(rows, 2) / 2, units);
  parallel_for(tasks, [&](int task) {
    int begin = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks);
    int end = static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks);
    for (int i = 0; i < count && end > 0; ++i) {
      const direct::LinearPart& part = parts[i];
      const int own = units_of(part), last = std::min(end, own);
      if (begin < last) {
        LinearJob job{};
        job.x = wide_x;
        job.padded = padded;
        job.weight = part.weight;
        job.weight_stride = part.stride;
        job.depth = depth;
        job.rows = rows;
        job.out = part.out + row * part.columns * size;
        job.out_stride = part.columns;
        if (wide) job.scratch = thread_scratch(1, linear_scratch(rows));
        (wide ? f.linear_wide : f.linear_narrow)[element](job, begin * unit,
                                                          std::min(last * unit, part.columns));
      }
      begin = std::max(begin - own, 0);
      end -= own;
    }
  });
}

class Linear : public CpuPrimitive {
 public:
  explicit Linear(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "GemmaLinear"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense_rows(inputs[0], encoder);
    const array weight = dense_rows(inputs[1], encoder);
    encoder.set_input_array(x);
    encoder.set_input_array(weight);
    encoder.set_output_array(out);
    const direct::LinearPart part{bytes_of(weight), weight.strides(0), weight.shape(0), bytes_of(out)};
    encoder.dispatch([element = static_cast<int>(element_of(out, "linear")), view = RowView(x),
                      depth = weight.shape(1), part]() { direct::linear(element, view, depth, &part, 1); });
  }
};

}  // namespace

void direct::linear(int element, const RowView& x, int depth, const LinearPart* parts, int count) {
  const std::int64_t most = x.rows <= kNarrowRows ? kNarrowRows : wide_rows(depth);
  for (std::int64_t row = 0; row < x.rows; row += most) {
    multiply(element, x, depth, row, static_cast<int>(std::min(most, x.rows - row)), parts, count);
  }
}

array linear(const array& x, const array& weight) {
  require(x.ndim() >= 1 && weight.ndim() == 2 && x.shape(-1) == weight.shape(1) && weight.shape(1) > 0,
          "linear", "expected x (..., I) and weight (O, I)");
  element_of(x, "linear");
  if (!on_cpu()) return operations::linear(x, weight);
  mx::Shape shape = x.shape();
  shape.back() = weight.shape(0);
  return array(std::move(shape), x.dtype(), std::make_shared<Linear>(current_stream()),
               {x, mx::astype(weight, x.dtype())});
}

}  // namespace mlx_gemma::kernels
