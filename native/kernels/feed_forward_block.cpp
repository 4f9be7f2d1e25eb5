#include "block.h"

namespace mlx_gemma::kernels {

void feed_forward_block(const PreparedFeedForward& layer, const StepRows& step, const RowView& per_layer) {
  const std::int64_t size = element_size(step.element);
  const std::int64_t hidden_row = step.hidden * size, inner_row = layer.gate_proj.outputs() * size;
  const auto& own = layer.per_layer_input;
  const int per_layer_width = own ? own->gate.outputs() : 0;
  const std::int64_t gate_row = per_layer_width * size;
  const std::size_t rows = step.rows;
  Scratch scratch(Scratch::rounded(rows * hidden_row) + 2 * Scratch::rounded(rows * inner_row) +
                  Scratch::rounded(rows * gate_row));
  char* x = scratch.take(rows * hidden_row);
  char* gate = scratch.take(rows * inner_row);
  char* up = scratch.take(rows * inner_row);
  char* gated = scratch.take(rows * gate_row);
  const RowView inner(gate, step.rows, inner_row), normed(x, step.rows, hidden_row), out = step.output();
  const std::size_t all = rows * step.hidden;

  direct::rms_norm(step.element, step.h, layer.pre_norm, step.hidden, layer.eps, x);
  const direct::LinearPart both[] = {{layer.gate_proj, gate}, {layer.up_proj, up}};
  direct::linear(normed, both, 2);
  direct::gelu_multiply(step.element, inner, RowView(up, step.rows, inner_row), layer.gate_proj.outputs(),
                        gate);
  const direct::LinearPart down(layer.down_proj, x);
  direct::linear(inner, &down, 1);
  direct::rms_norm(step.element, normed, layer.post_norm, step.hidden, layer.eps, x);
  for (int t = 0; t < step.rows; ++t) {
    direct::add(step.element, step.h.row(t), x + t * hidden_row, step.hidden, step.out + t * hidden_row);
  }
  if (own) {
    const direct::LinearPart to_gate(own->gate, gated), back(own->projection, x);
    const RowView gates(gated, step.rows, gate_row);
    direct::linear(out, &to_gate, 1);
    direct::gelu_multiply(step.element, gates, per_layer, per_layer_width, gated);
    direct::linear(gates, &back, 1);
    direct::rms_norm(step.element, normed, own->norm, step.hidden, layer.eps, x);
    direct::add(step.element, step.out, x, all, step.out);
  }
  direct::scale(step.element, step.out, layer.layer_scalar, all, step.out);
}

}  // namespace mlx_gemma::kernels
