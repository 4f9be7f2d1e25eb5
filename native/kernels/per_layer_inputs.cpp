// What the layers are told of a token, in one task: see blocks.h and composed.cpp, whose bits these are.
#include "inputs.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

/** Inputs: projected, embedded, the norm's weight. */
class PerLayerInputs : public CpuPrimitive {
 public:
  PerLayerInputs(mx::Stream stream, const PerLayerMix& mix)
      : CpuPrimitive(stream), eps_(mix.eps), projection_scale_(mix.projection_scale), scale_(mix.scale) {}
  const char* name() const override { return "GemmaPerLayerInputs"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    if (out.size() == 0) return;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Element element = element_of(out, name());
    const Packings none;
    Inputs in(inputs, none, element, encoder);
    const array projected = in.next(), embedded = in.next();
    const char* norm = in.vector();
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element), from = RowView(projected),
                      embeddings = RowView(embedded), norm, size = inputs[2].shape(0), width = out.shape(2),
                      eps = eps_, projection_scale = projection_scale_, scale = scale_,
                      to = bytes_of(out)]() {
      const RowFunctions& rows = row_functions();
      const std::int64_t part = size * element_size(element);
      parallel_rows(from.rows, 8.0 * static_cast<double>(from.rows) * width, [&](std::int64_t r) {
        char* row = to + r * width * element_size(element);
        rows.scale[element](from.row(r), projection_scale, width, row);
        for (char* p = row; p < row + width / size * part; p += part)
          rows.rms_norm[element](p, norm, size, eps, p);
        rows.add[element](row, embeddings.row(r), width, row);
        rows.scale[element](row, scale, width, row);
      });
    });
  }

 private:
  float eps_, projection_scale_, scale_;
};

}  // namespace

array per_layer_inputs(const array& projected, const array& embedded, const PerLayerMix& mix) {
  constexpr const char* kName = "per_layer_inputs";
  element_of(projected, kName);
  require(mix.norm.ndim() == 1 && mix.norm.shape(0) > 0 && projected.ndim() == 3 && projected.shape(0) == 1 &&
              projected.shape(2) % mix.norm.shape(0) == 0 && embedded.shape() == projected.shape() &&
              embedded.dtype() == projected.dtype() && mix.norm.dtype() == projected.dtype(),
          kName, "expected projections and embeddings (1, T, L * P) of one dtype, and a norm (P)");
  if (!own_kernels()) return composed::per_layer_inputs(projected, embedded, mix);
  return array(projected.shape(), projected.dtype(), std::make_shared<PerLayerInputs>(current_stream(), mix),
               {projected, embedded, mix.norm});
}

}  // namespace mlx_gemma::kernels
