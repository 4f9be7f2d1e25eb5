// The second half of a decoder layer in one task: see blocks.h and composed.cpp, whose bits these are.
#include "block.h"

namespace mlx_gemma::kernels {

bool fits_primitive(const array& h, std::initializer_list<const Matrix*> matrices) {
  if (!on_cpu() || h.shape(1) > kBlockRows) return false;
  for (const Matrix* matrix : matrices) {
    const auto* plain = std::get_if<array>(matrix);
    if (plain == nullptr || plain->dtype() != h.dtype()) return false;
  }
  return true;
}

namespace {

/** A step's rows of one layer, in plain numbers. */
struct Job {
  int element;
  RowView h;  // (T, H)
  int hidden, rows;
  const char *pre_norm, *post_norm, *layer_scalar;
  MatrixView gate_proj, up_proj, down_proj;
  float eps;
  bool has_per_layer;
  RowView per_layer;  // (T, P)
  MatrixView gate, projection;
  const char* norm;
  char* out;
};

void run(const Job& job) {
  const std::int64_t size = element_size(job.element);
  const std::int64_t hidden_row = job.hidden * size, inner_row = job.gate_proj.columns * size;
  const int per_layer_width = job.has_per_layer ? job.gate.columns : 0;
  const std::int64_t gate_row = per_layer_width * size;
  const std::size_t rows = job.rows;
  Scratch scratch(Scratch::rounded(rows * hidden_row) + 2 * Scratch::rounded(rows * inner_row) +
                  Scratch::rounded(rows * gate_row));
  char* x = scratch.take(rows * hidden_row);
  char* gate = scratch.take(rows * inner_row);
  char* up = scratch.take(rows * inner_row);
  char* gated = scratch.take(rows * gate_row);
  const RowView inner(gate, job.rows, inner_row), normed(x, job.rows, hidden_row),
      out(job.out, job.rows, hidden_row);
  const std::size_t all = rows * job.hidden;

  direct::rms_norm(job.element, job.h, job.pre_norm, job.hidden, job.eps, x);
  const direct::LinearPart both[] = {job.gate_proj.to(gate), job.up_proj.to(up)};
  direct::linear(job.element, normed, job.hidden, both, 2);
  direct::gelu_multiply(job.element, inner, RowView(up, job.rows, inner_row), job.gate_proj.columns, gate);
  const direct::LinearPart down = job.down_proj.to(x);
  direct::linear(job.element, inner, job.gate_proj.columns, &down, 1);
  direct::rms_norm(job.element, normed, job.post_norm, job.hidden, job.eps, x);
  for (int t = 0; t < job.rows; ++t) {
    direct::add(job.element, job.h.row(t), x + t * hidden_row, job.hidden, job.out + t * hidden_row);
  }
  if (job.has_per_layer) {
    const direct::LinearPart to_gate = job.gate.to(gated), back = job.projection.to(x);
    const RowView gates(gated, job.rows, gate_row);
    direct::linear(job.element, out, job.hidden, &to_gate, 1);
    direct::gelu_multiply(job.element, gates, job.per_layer, per_layer_width, gated);
    direct::linear(job.element, gates, per_layer_width, &back, 1);
    direct::rms_norm(job.element, normed, job.norm, job.hidden, job.eps, x);
    direct::add(job.element, job.out, x, all, job.out);
  }
  direct::scale(job.element, job.out, job.layer_scalar, all, job.out);
}

/** Inputs: h, the layer's weights, and of models with per-layer inputs their weights and the input. */
class FeedForwardBlock : public CpuPrimitive {
 public:
  FeedForwardBlock(mx::Stream stream, float eps) : CpuPrimitive(stream), eps_(eps) {}
  const char* name() const override { return "GemmaFeedForwardBlock"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    constexpr std::size_t kPlainInputs = 7;
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(out);
    Inputs in(inputs, encoder);
    Job job{};
    job.element = static_cast<int>(element_of(out, name()));
    job.h = RowView(in.next());
    job.hidden = out.shape(2);
    job.rows = out.shape(1);
    job.eps = eps_;
    job.pre_norm = in.vector();
    job.gate_proj = in.matrix();
    job.up_proj = in.matrix();
    job.down_proj = in.matrix();
    job.post_norm = in.vector();
    job.layer_scalar = in.vector();
    if (inputs.size() > kPlainInputs) {
      job.has_per_layer = true;
      job.gate = in.matrix();
      job.projection = in.matrix();
      job.norm = in.vector();
      job.per_layer = RowView(in.next());
    }
    job.out = bytes_of(out);
    encoder.set_output_array(out);
    encoder.dispatch([job]() { run(job); });
  }

 private:
  float eps_;
};

}  // namespace

array feed_forward_block(const array& h, const FeedForwardLayer& layer,
                         const std::optional<array>& per_layer) {
  constexpr const char* kName = "feed_forward_block";
  element_of(h, kName);
  require(h.ndim() == 3 && h.shape(0) == 1, kName, "expected h (1, T, H)");
  require(outputs(layer.gate_proj) == outputs(layer.up_proj) && outputs(layer.down_proj) == h.shape(2), kName,
          "the projections do not belong together");
  require(layer.per_layer_input.has_value() == per_layer.has_value(), kName,
          "per-layer weights and a per-layer input go together");
  const auto& own = layer.per_layer_input;
  if (own) {
    require(
        per_layer->shape() == mx::Shape{1, h.shape(1), outputs(own->gate)} && per_layer->dtype() == h.dtype(),
        kName, "expected a per-layer input (1, T, P) in the dtype of h");
  }
  const Matrix* gate = own ? &own->gate : &layer.gate_proj;
  const Matrix* projection = own ? &own->projection : &layer.gate_proj;
  if (layer.experts ||
      !fits_primitive(h, {&layer.gate_proj, &layer.up_proj, &layer.down_proj, gate, projection})) {
    return composed::feed_forward_block(h, layer, per_layer);
  }
  std::vector<array> inputs{h,
                            layer.pre_feedforward_layernorm,
                            std::get<array>(layer.gate_proj),
                            std::get<array>(layer.up_proj),
                            std::get<array>(layer.down_proj),
                            layer.post_feedforward_layernorm,
                            layer.layer_scalar};
  if (own) {
    for (const array& a :
         {std::get<array>(own->gate), std::get<array>(own->projection), own->norm, *per_layer}) {
      inputs.push_back(a);
    }
  }
  return array(h.shape(), h.dtype(), std::make_shared<FeedForwardBlock>(current_stream(), layer.eps), inputs);
}

}  // namespace mlx_gemma::kernels
