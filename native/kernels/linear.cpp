// x · weightᵀ. Scalar reference, with L lanes and blocks of kDepth:
//
//   total = 0
//   for each block of kDepth elements k of the row:
//     lane[0 … L-1] = 0
//     for each pair of vectors in the block: lane[i] += w[first i] * x[first i], then the same with the
//     second total += sum of the lanes, in V::sum's order
//   out = round(total)
#include <algorithm>

#include "arrays.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

/** Up to here the weights are read from memory as they are; above it converting a tile of them first pays. */
constexpr int kNarrowRows = 16;

/** Rows of x converted and multiplied at a time in the wide form: they should stay in the outer cache. */
int wide_rows(int depth) { return std::clamp((1 << 20) / std::max(depth, 1), 32, 512); }

struct Operands {
  const RowFunctions& f;
  int element;
  std::size_t size;  // of an element
  RowView x;
  const char* weight;
  std::int64_t weight_stride;
  int depth;
  int columns;
  char* out;
};

/** Rows of x as floats in pair order: x itself where it already is that. */
const float* widened(const Operands& o, std::int64_t row, int rows, std::ptrdiff_t padded) {
  const bool plain = o.element == static_cast<int>(Element::f32) && padded == o.depth && o.x.dense;
  if (plain) return reinterpret_cast<const float*>(o.x.row(row));
  float* out = thread_scratch(0, static_cast<std::size_t>(rows) * padded);
  const int tasks = task_count(static_cast<double>(rows) * o.depth, rows);
  parallel_for(tasks, [&](int task) {
    for (int r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) {
      o.f.widen[o.element](o.x.row(row + r), o.depth, out + r * padded);
    }
  });
  return out;
}

void multiply(const Operands& o, std::int64_t row, int rows) {
  const std::ptrdiff_t padded = (o.depth + o.f.pair - 1) / o.f.pair * o.f.pair;
  LinearJob job{};
  job.x = widened(o, row, rows, padded);
  job.padded = padded;
  job.weight = o.weight;
  job.weight_stride = o.weight_stride;
  job.depth = o.depth;
  job.rows = rows;
  job.out = o.out + row * o.columns * static_cast<std::int64_t>(o.size);
  job.out_stride = o.columns;
  const bool wide = rows > kNarrowRows;
  // Parts are whole groups of weight rows: 24 is a multiple of 8, 4, 3, 2.
  const int unit = wide ? kTileColumns : 24;
  const int units = (o.columns + unit - 1) / unit;
  // One row waits for its weights about as long as two would.
  const double work = static_cast<double>(o.columns) * o.depth * std::max(rows, 2) / 2;
  const int tasks = task_count(work, units);
  parallel_for(tasks, [&](int task) {
    const int begin = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks) * unit;
    const int end = static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks) * unit;
    if (!wide) return o.f.linear_narrow[o.element](job, begin, std::min(end, o.columns));
    LinearJob mine = job;
    mine.scratch = thread_scratch(1, linear_scratch(rows));
    o.f.linear_wide[o.element](mine, begin, std::min(end, o.columns));
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
    Operands operands{row_functions(),  static_cast<int>(element_of(out, "linear")),
                      out.itemsize(),   RowView(x),
                      bytes_of(weight), weight.strides(0),
                      weight.shape(1),  weight.shape(0),
                      bytes_of(out)};
    encoder.dispatch([o = operands]() {
      const std::int64_t rows = o.x.rows;
      const int most = rows <= kNarrowRows ? kNarrowRows : wide_rows(o.depth);
      for (std::int64_t row = 0; row < rows; row += most) {
        multiply(o, row, static_cast<int>(std::min<std::int64_t>(most, rows - row)));
      }
    });
  }
};

}  // namespace

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
