// x · weightᵀ. Scalar reference, with L lanes and blocks of kDepth:
//
//   total = 0
//   for each block of kDepth elements k of the row:
//     lane[0 … L-1] = 0
//     for each pair of vectors in the block: lane[i] += w[first i] * x[first i], then the same with the
//     second total += sum of the lanes, in V::sum's order
//   out = round(total)
//
// Packed weights, of w[k] = scale * value[k] + bias, in blocks of kPackedDepth:
//
//   for each block:
//     lane[0 … L-1] = 0
//     for each group in the block: sum[i] = the same chain over the group's value[k] * x[k];
//                                  lane[i] += scale * sum[i]
//     affine: lane[g % L] += bias of group g * (sum of the group's x), group by group
//     total += sum of the lanes
//
// Packed weights of 4 bits in groups of a pair or more, where V::kSixteen: each weight is rounded once,
// fma(scale, value, bias), and the sums are those of plain weights, in blocks of kPackedDepth.
//
// Rows of bfloat16 on tiles (AMX): the processor sums 32 elements of a row at a time,
//
//   for each 32 elements: total += (the chain over the even ones) + (the chain over the odd ones)
//
// and takes subnormal numbers for zeros. Packed weights of 4 and 8 bits, in groups of 32 or more:
//
//   for each group: sum = the same over the group's value[k] * x[k], in the order that unpacking leaves;
//                   total += scale * sum; affine: total += bias * (sum of the group's x)
#include <algorithm>
#include <cstring>
#include <numeric>

#include "direct.h"
#include "inputs.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "scratch.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

/** Rows of x as `weight` takes them: x itself where it already is that. */
const float* widened(const WeightView& weight, const RowView& x, std::int64_t row, int rows) {
  const std::ptrdiff_t padded = weight.padded();
  const bool plain =
      weight.element() == Element::f32 && padded == weight.inputs() && x.dense && !weight.packed();
  if (plain) return reinterpret_cast<const float*>(x.row(row));
  float* out = thread_scratch(0, static_cast<std::size_t>(rows) * padded);
  parallel_rows(rows, static_cast<double>(rows) * weight.inputs(),
                [&](std::int64_t r) { weight.widen(x.row(row + r), out + r * padded); });
  return out;
}

/** Rows [row, row + rows) of x with all parts, which take them widened alike. */
void multiply(const RowView& x, std::int64_t row, int rows, const direct::LinearPart* parts, int count) {
  // Tasks take whole groups of weight rows, and count through all parts.
  const int unit = parts[0].weight->unit(rows);
  const auto units_of = [&](const direct::LinearPart& part) {
    return (part.end - part.begin + unit - 1) / unit;
  };
  int units = 0;
  double columns = 0;
  for (int i = 0; i < count; ++i) {
    units += units_of(parts[i]);
    columns += parts[i].end - parts[i].begin;
  }
  const float* wide = widened(*parts[0].weight, x, row, rows);
  // One row waits for its weights about as long as two would.
  const int tasks = task_count(columns * parts[0].weight->inputs() * std::max(rows, 2) / 2,
                               parts[0].weight->most_tasks(units));
  parallel_for(tasks, [&](int task) {
    int begin = static_cast<int>(static_cast<std::int64_t>(units) * task / tasks);
    int end = static_cast<int>(static_cast<std::int64_t>(units) * (task + 1) / tasks);
    for (int i = 0; i < count && end > 0; ++i) {
      const direct::LinearPart& part = parts[i];
      const WeightView& weight = *part.weight;
      const int own = units_of(part), last = std::min(end, own);
      if (begin < last) {
        const int from = begin * unit, to = std::min(last * unit, part.end - part.begin);
        weight.multiply(0, wide, rows, part.begin + from, part.begin + to,
                        part.out + (row * part.out_stride + from) * weight.size(), part.out_stride);
      }
      begin = std::max(begin - own, 0);
      end -= own;
    }
  });
}

/** Rows of several arrays, one behind the other. */
RowView joined(const std::vector<RowView>& parts, const std::vector<std::int64_t>& bytes) {
  const std::int64_t rows = parts[0].rows,
                     width = std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
  char* const start = Scratch(rows * width).take(0);
  char* to = start;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < parts.size(); to += bytes[i++]) std::memcpy(to, parts[i].row(r), bytes[i]);
  }
  return RowView(start, rows, width);
}

/** Inputs: x in one or more parts, and the weight or the parts of a packed one. */
class Linear : public CpuPrimitive {
 public:
  Linear(mx::Stream stream, std::size_t parts, std::optional<PackedAs> packed)
      : CpuPrimitive(stream), parts_(parts), packed_(packed) {}
  const char* name() const override { return packed_ ? "GemmaQuantizedLinear" : "GemmaLinear"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const auto border = inputs.begin() + static_cast<std::ptrdiff_t>(parts_);
    std::vector<RowView> parts;
    std::vector<std::int64_t> bytes;
    for (const array& x : dense_rows({inputs.begin(), border}, encoder)) {
      parts.emplace_back(x);
      bytes.push_back(x.shape(-1) * static_cast<std::int64_t>(x.itemsize()));
    }
    const WeightView weight(dense_rows({border, inputs.end()}, encoder), packed_, element_of(out, "linear"));
    encoder.set_output_array(out);
    const auto multiply = [weight, to = bytes_of(out)](const RowView& x) {
      const direct::LinearPart all(weight, to);
      direct::linear(x, &all, 1);
    };
    if (parts_ == 1) return encoder.dispatch([multiply, x = parts[0]]() { multiply(x); });
    encoder.dispatch([multiply, parts, bytes]() { multiply(joined(parts, bytes)); });
  }

 private:
  std::size_t parts_;
  std::optional<PackedAs> packed_;
};

array node(std::vector<array> x, int outputs, const std::vector<array>& weight,
           std::optional<PackedAs> packed) {
  mx::Shape shape = x[0].shape();
  shape.back() = outputs;
  const mx::Dtype dtype = x[0].dtype();
  auto linear = std::make_shared<Linear>(current_stream(), x.size(), packed);
  x.insert(x.end(), weight.begin(), weight.end());
  return array(std::move(shape), dtype, std::move(linear), std::move(x));
}

}  // namespace

void direct::linear(const RowView& x, const LinearPart* parts, int count) {
  const std::int64_t most = x.rows <= kNarrowRows ? kNarrowRows : wide_rows(parts[0].weight->inputs());
  for (int first = 0; first < count;) {
    int alike = 1;
    while (first + alike < count && parts[first + alike].weight->widens_like(*parts[first].weight)) ++alike;
    for (std::int64_t row = 0; row < x.rows; row += most) {
      multiply(x, row, static_cast<int>(std::min(most, x.rows - row)), parts + first, alike);
    }
    first += alike;
  }
}

array linear(const array& x, const array& weight) {
  require(x.ndim() >= 1 && weight.ndim() == 2 && x.shape(-1) == weight.shape(1) && weight.shape(1) > 0,
          "linear", "expected x (..., I) and weight (O, I)");
  element_of(x, "linear");
  if (!own_kernels()) return operations::linear(x, weight);
  return node({x}, weight.shape(0), {mx::astype(weight, x.dtype())}, std::nullopt);
}

array quantized_linear(const array& x, const QuantizedWeight& weight) {
  weight.check(2);
  element_of(x, "quantized_linear");
  require(x.ndim() >= 1 && x.shape(-1) == weight.inputs(), "quantized_linear",
          "expected x (..., I) and weight (O, I)");
  if (!own_kernels()) return operations::quantized_linear(x, weight);
  return node({x}, weight.outputs(), with_parts({}, weight), packed_as(weight));
}

array project(const std::vector<array>& parts, const Matrix& matrix) {
  constexpr const char* kName = "joined linear";
  require(!parts.empty(), kName, "expected at least one array");
  const array& first = parts[0];
  element_of(first, kName);
  const auto leading = [](const array& a) {
    mx::Shape shape = a.shape();
    shape.pop_back();
    return shape;
  };
  int width = 0;
  for (const array& part : parts) {
    require(part.ndim() >= 1 && leading(part) == leading(first) && part.dtype() == first.dtype(), kName,
            "expected arrays (..., I) of one dtype, with the same leading axes");
    width += part.shape(-1);
  }
  check_matrix(matrix, width, kName);
  if (parts.size() == 1 || !own_kernels() || !packed_or(first.dtype(), matrix)) {
    return project(parts.size() == 1 ? first : mx::concatenate(parts, -1), matrix);
  }
  return node(parts, outputs(matrix), parts_of(matrix), packing_of(matrix));
}

}  // namespace mlx_gemma::kernels
