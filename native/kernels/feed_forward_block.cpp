// The second half of a decoder layer in one task: see blocks.h and composed.cpp, whose bits these are.
#include <algorithm>

#include "block.h"

namespace mlx_gemma::kernels {

void check_matrix(const Matrix& matrix, int inputs, const char* block) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) {
    packed->check(2);
  } else {
    require(std::get<array>(matrix).ndim() == 2, block, "expected matrices (out, in)");
  }
  require(inputs_of(matrix) == inputs, block, "a projection takes rows of another length");
}

bool fits_primitive(const array& h, std::initializer_list<const Matrix*> matrices) {
  if (!own_kernels() || h.shape(1) > kBlockRows) return false;
  for (const Matrix* matrix : matrices) {
    const auto* plain = std::get_if<array>(matrix);
    if (plain != nullptr && plain->dtype() != h.dtype()) return false;
  }
  return true;
}

void append(const Matrix& matrix, std::vector<array>& inputs, Packings& packings) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) {
    inputs = with_parts(std::move(inputs), *packed);
    packings.push_back(packed_as(*packed));
  } else {
    inputs.push_back(std::get<array>(matrix));
    packings.push_back(std::nullopt);
  }
}

namespace {

/** A step's rows of one layer, in plain numbers. */
struct Job {
  int element;
  RowView h;  // (T, H)
  int hidden, rows;
  const char *pre_norm, *post_norm, *layer_scalar;
  WeightView gate_proj, up_proj, down_proj;
  float eps;
  bool has_per_layer;
  RowView per_layer;  // (T, P)
  WeightView gate, projection;
  const char* norm;
  char* out;
};

void run(const Job& job) {
  const std::int64_t size = element_size(job.element);
  const std::int64_t hidden_row = job.hidden * size, inner_row = job.gate_proj.outputs() * size;
  const int per_layer_width = job.has_per_layer ? job.gate.outputs() : 0;
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
  const direct::LinearPart both[] = {{job.gate_proj, gate}, {job.up_proj, up}};
  direct::linear(normed, both, 2);
  direct::gelu_multiply(job.element, inner, RowView(up, job.rows, inner_row), job.gate_proj.outputs(), gate);
  const direct::LinearPart down(job.down_proj, x);
  direct::linear(inner, &down, 1);
  direct::rms_norm(job.element, normed, job.post_norm, job.hidden, job.eps, x);
  for (int t = 0; t < job.rows; ++t) {
    direct::add(job.element, job.h.row(t), x + t * hidden_row, job.hidden, job.out + t * hidden_row);
  }
  if (job.has_per_layer) {
    const direct::LinearPart to_gate(job.gate, gated), back(job.projection, x);
    const RowView gates(gated, job.rows, gate_row);
    direct::linear(out, &to_gate, 1);
    direct::gelu_multiply(job.element, gates, job.per_layer, per_layer_width, gated);
    direct::linear(gates, &back, 1);
    direct::rms_norm(job.element, normed, job.norm, job.hidden, job.eps, x);
    direct::add(job.element, job.out, x, all, job.out);
  }
  direct::scale(job.element, job.out, job.layer_scalar, all, job.out);
}

/** Inputs: h, the layer's weights, and of models with per-layer inputs their weights and the input. */
class FeedForwardBlock : public CpuPrimitive {
 public:
  /** `layer`: which of the per-layer inputs is this one's. */
  FeedForwardBlock(mx::Stream stream, float eps, std::optional<int> layer, Packings packings)
      : CpuPrimitive(stream), eps_(eps), layer_(layer), packings_(std::move(packings)) {}
  const char* name() const override { return "GemmaFeedForwardBlock"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(out);
    const Element element = element_of(out, name());
    Inputs in(inputs, packings_, element, encoder);
    Job job{};
    job.element = static_cast<int>(element);
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
    if (layer_) {
      job.has_per_layer = true;
      job.gate = in.matrix();
      job.projection = in.matrix();
      job.norm = in.vector();
      const array all = in.dense();  // (1, T, L * P)
      const std::int64_t row = static_cast<std::int64_t>(all.shape(2)) * element_size(job.element),
                         own = static_cast<std::int64_t>(job.gate.outputs()) * element_size(job.element);
      job.per_layer = RowView(bytes_of(all) + *layer_ * own, job.rows, row);
    }
    job.out = bytes_of(out);
    encoder.set_output_array(out);
    encoder.dispatch([job]() { run(job); });
  }

 private:
  float eps_;
  std::optional<int> layer_;
  Packings packings_;
};

}  // namespace

std::optional<Part> feed_forward_part(const array& h, const FeedForwardLayer& layer,
                                      const std::optional<PerLayerRows>& per_layer) {
  constexpr const char* kName = "feed_forward_block";
  element_of(h, kName);
  require(h.ndim() == 3 && h.shape(0) == 1, kName, "expected h (1, T, H)");
  require(outputs(layer.gate_proj) == outputs(layer.up_proj) && outputs(layer.down_proj) == h.shape(2), kName,
          "the projections do not belong together");
  check_matrix(layer.gate_proj, h.shape(2), kName);
  check_matrix(layer.up_proj, h.shape(2), kName);
  check_matrix(layer.down_proj, outputs(layer.gate_proj), kName);
  require(layer.per_layer_input.has_value() == per_layer.has_value(), kName,
          "per-layer weights and a per-layer input go together");
  const auto& own = layer.per_layer_input;
  if (own) {
    const array& all = per_layer->all;
    require(all.ndim() == 3 && all.shape(0) == 1 && all.shape(1) == h.shape(1) && all.dtype() == h.dtype() &&
                per_layer->layer >= 0 && all.shape(2) / std::max(outputs(own->gate), 1) > per_layer->layer,
            kName, "expected per-layer inputs (1, T, L * P) in the dtype of h, and a layer of them");
    check_matrix(own->gate, h.shape(2), kName);
    check_matrix(own->projection, outputs(own->gate), kName);
    require(outputs(own->projection) == h.shape(2), kName, "the projections do not belong together");
  }
  const Matrix* gate = own ? &own->gate : &layer.gate_proj;
  const Matrix* projection = own ? &own->projection : &layer.gate_proj;
  if (layer.experts ||
      !fits_primitive(h, {&layer.gate_proj, &layer.up_proj, &layer.down_proj, gate, projection})) {
    return std::nullopt;
  }
  std::vector<array> inputs{h, layer.pre_feedforward_layernorm};
  Packings packings;
  for (const Matrix* matrix : {&layer.gate_proj, &layer.up_proj, &layer.down_proj}) {
    append(*matrix, inputs, packings);
  }
  inputs.push_back(layer.post_feedforward_layernorm);
  inputs.push_back(layer.layer_scalar);
  if (own) {
    append(own->gate, inputs, packings);
    append(own->projection, inputs, packings);
    inputs.push_back(own->norm);
    inputs.push_back(per_layer->all);
  }
  const auto which = own ? std::optional(per_layer->layer) : std::nullopt;
  return Part{std::make_shared<FeedForwardBlock>(current_stream(), layer.eps, which, std::move(packings)),
              std::move(inputs)};
}

array feed_forward_block(const array& h, const FeedForwardLayer& layer,
                         const std::optional<PerLayerRows>& per_layer) {
  std::optional<Part> part = feed_forward_part(h, layer, per_layer);
  return part ? node(*std::move(part), h) : composed::feed_forward_block(h, layer, per_layer);
}

}  // namespace mlx_gemma::kernels
