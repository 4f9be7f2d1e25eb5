#include <algorithm>

#include "direct.h"
#include "inputs.h"
#include "mlx/ops.h"
#include "mlx_operations.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

/** Inputs: rows, the table, the factor. */
class Embedding : public CpuPrimitive {
 public:
  Embedding(mx::Stream stream, Packings packings) : CpuPrimitive(stream), packings_(std::move(packings)) {}
  const char* name() const override { return "GemmaEmbedding"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Element element = element_of(out, name());
    Inputs in(inputs, packings_, element, encoder);
    const array chosen = in.dense();
    const WeightView table = in.matrix();
    const char* factor = in.vector();
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element), table, factor, ids = chosen.data<std::uint32_t>(),
                      rows = static_cast<std::int64_t>(chosen.size()), to = bytes_of(out)]() {
      const std::int64_t row_bytes = table.inputs() * table.size();
      parallel_rows(rows, 2.0 * static_cast<double>(rows) * table.inputs(), [&](std::int64_t r) {
        char* row = to + r * row_bytes;
        // An id that is none reads the last row: no other memory.
        table.copy_row(std::min<std::int64_t>(ids[r], table.outputs() - 1), row);
        direct::scale(element, row, factor, table.inputs(), row);
      });
    });
  }

 private:
  Packings packings_;
};

}  // namespace

array embedding(const Matrix& table, const array& rows, const array& factor) {
  constexpr const char* kName = "embedding";
  element_of(factor, kName);
  check_indices(rows, kName);
  check_matrix(table, inputs_of(table), kName);
  require(factor.size() == 1, kName, "expected one factor");
  const auto* packed = std::get_if<QuantizedWeight>(&table);
  require(packed_or(factor.dtype(), table), kName, "expected a table in the dtype of the factor");
  if (!own_kernels()) {
    const array found = packed != nullptr ? operations::dequantize_rows(*packed, rows, factor.dtype())
                                          : mx::take(std::get<array>(table), rows, 0);
    return mx::multiply(found, factor);
  }
  std::vector<array> inputs{rows};
  Packings packings;
  append(table, inputs, packings);
  inputs.push_back(factor);
  mx::Shape shape = rows.shape();
  shape.push_back(inputs_of(table));
  return array(std::move(shape), factor.dtype(),
               std::make_shared<Embedding>(current_stream(), std::move(packings)), std::move(inputs));
}

}  // namespace mlx_gemma::kernels
