// Rows of x times the matrices of their experts. Rows of one expert are brought together, so that its weights
// are read once; each row's sums are those of linear.cpp.
#include <algorithm>
#include <cstring>

#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"
#include "weight_view.h"

namespace mlx_gemma::kernels {
namespace {

/** Some rows of one expert, and some of its outputs. */
struct Part {
  int expert;
  std::int64_t first;  // into the rows in order of their experts
  int rows;
  int begin, end;
};

/** Rows 0 … n - 1 by expert, in their own order within one: `starts[e]` is where expert e begins in `order`.
 */
struct Routing {
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> starts;

  Routing(const std::uint32_t* indices, std::int64_t rows, int experts) : order(rows), starts(experts + 1) {
    const auto chosen = [&](std::int64_t r) { return std::min<std::int64_t>(indices[r], experts - 1); };
    for (std::int64_t r = 0; r < rows; ++r) ++starts[chosen(r) + 1];
    for (int e = 0; e < experts; ++e) starts[e + 1] += starts[e];
    std::vector<std::int64_t> next(starts.begin(), starts.end() - 1);
    for (std::int64_t r = 0; r < rows; ++r) order[next[chosen(r)]++] = r;
  }
};

double work_of(const WeightView& m, std::int64_t rows) {
  return static_cast<double>(m.outputs()) * m.inputs() *
         static_cast<double>(std::max<std::int64_t>(rows, 2)) / 2;
}

/** Parts of about equal work, an expert's together. */
std::vector<Part> parts_of(const WeightView& m, const Routing& routing) {
  std::vector<Part> blocks;
  double work = 0;
  for (int e = 0; e < m.count(); ++e) {
    const std::int64_t rows = routing.starts[e + 1] - routing.starts[e];
    const int most = rows <= kNarrowRows ? kNarrowRows : wide_rows(m.inputs());
    for (std::int64_t r = 0; r < rows; r += most) {
      const int taken = static_cast<int>(std::min<std::int64_t>(most, rows - r));
      blocks.push_back({e, routing.starts[e] + r, taken, 0, m.outputs()});
      work += work_of(m, taken);
    }
  }
  const double fair = work / task_count(work, 1 << 20);
  std::vector<Part> parts;
  for (const Part& block : blocks) {
    const int unit = m.unit(block.rows), units = (m.outputs() + unit - 1) / unit;
    const int wanted = static_cast<int>(work_of(m, block.rows) / fair + 0.5);
    const int pieces = std::clamp(wanted, 1, units);
    for (int i = 0; i < pieces; ++i) {
      Part part = block;
      part.begin = static_cast<int>(static_cast<std::int64_t>(units) * i / pieces) * unit;
      part.end =
          std::min(static_cast<int>(static_cast<std::int64_t>(units) * (i + 1) / pieces) * unit, m.outputs());
      parts.push_back(part);
    }
  }
  return parts;
}

/** @param shared rows of the result that read one row of x */
void multiply(const WeightView& m, const Part& part, const std::int64_t* order, const RowView& x, int shared,
              char* out) {
  const std::int64_t* rows = order + part.first;
  const int columns = part.end - part.begin;
  const auto target = [&](int r) { return out + (rows[r] * m.outputs() + part.begin) * m.size(); };
  float* wide = thread_scratch(2, static_cast<std::size_t>(part.rows) * m.padded());
  for (int r = 0; r < part.rows; ++r) m.widen(x.row(rows[r] / shared), wide + r * m.padded());
  if (part.rows == 1) return m.multiply(part.expert, wide, 1, part.begin, part.end, target(0), columns);
  const std::size_t row_bytes = static_cast<std::size_t>(columns * m.size());
  char* block = reinterpret_cast<char*>(thread_scratch(3, part.rows * row_bytes / sizeof(float) + 1));
  m.multiply(part.expert, wide, part.rows, part.begin, part.end, block, columns);
  for (int r = 0; r < part.rows; ++r) std::memcpy(target(r), block + r * row_bytes, row_bytes);
}

class Experts : public CpuPrimitive {
 public:
  Experts(mx::Stream stream, std::optional<PackedAs> packed) : CpuPrimitive(stream), packed_(packed) {}
  const char* name() const override { return packed_ ? "GemmaQuantizedExperts" : "GemmaExperts"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const array x = dense_rows(inputs[0], encoder);
    const array indices = dense(inputs[1], encoder);
    encoder.set_input_array(x);
    encoder.set_input_array(indices);
    const WeightView matrix(dense_rows({inputs.begin() + 2, inputs.end()}, encoder), packed_,
                            element_of(out, "experts_linear"));
    encoder.set_output_array(out);
    const auto rows = static_cast<std::int64_t>(indices.size());
    const int shared = inputs[0].shape(-2) == 1 ? indices.shape(-1) : 1;
    encoder.dispatch([m = matrix, x = RowView(x), chosen = indices.data<std::uint32_t>(), to = bytes_of(out),
                      rows, shared]() {
      const Routing routing(chosen, rows, m.count());
      const std::vector<Part> parts = parts_of(m, routing);
      parallel_for(static_cast<int>(parts.size()),
                   [&](int i) { multiply(m, parts[i], routing.order.data(), x, shared, to); });
    });
  }

 private:
  std::optional<PackedAs> packed_;
};

void check(const array& x, const array& indices, int inputs) {
  const char* kernel = "experts_linear";
  element_of(x, kernel);
  check_indices(indices, kernel);
  bool fits = indices.ndim() >= 1 && x.ndim() == indices.ndim() + 1 && x.shape(-1) == inputs && inputs > 0;
  for (int axis = 0; fits && axis + 1 < static_cast<int>(indices.ndim()); ++axis) {
    fits = x.shape(axis) == indices.shape(axis);
  }
  fits = fits && (x.shape(-2) == 1 || x.shape(-2) == indices.shape(-1));
  require(fits, kernel, "expected x (..., k or 1, I), indices (..., k) and weight (E, O, I)");
}

array node(const array& x, const array& indices, int outputs, std::vector<array> inputs,
           std::optional<PackedAs> packed) {
  mx::Shape shape = indices.shape();
  shape.push_back(outputs);
  return array(std::move(shape), x.dtype(), std::make_shared<Experts>(current_stream(), packed),
               std::move(inputs));
}

}  // namespace

array experts_linear(const array& x, const array& weight, const array& indices) {
  require(weight.ndim() == 3, "experts_linear", "expected weight (E, O, I)");
  check(x, indices, weight.shape(2));
  if (!own_kernels()) return operations::experts_linear(x, weight, indices);
  return node(x, indices, weight.shape(1), {x, indices, mx::astype(weight, x.dtype())}, std::nullopt);
}

array experts_linear(const array& x, const QuantizedWeight& weight, const array& indices) {
  weight.check(3);
  check(x, indices, weight.inputs());
  if (!own_kernels()) return operations::experts_linear(x, weight, indices);
  return node(x, indices, weight.outputs(), with_parts({x, indices}, weight), packed_as(weight));
}

}  // namespace mlx_gemma::kernels
