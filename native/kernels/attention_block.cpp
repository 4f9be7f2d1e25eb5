#include "block.h"

namespace mlx_gemma::kernels {
namespace {

/** The step's own keys and values, from their projections; the former are overwritten. */
void write_keys_values(const PreparedAttention& layer, const StepRows& step, const char* table,
                       const StepKeys& keys, char* raw_keys, const char* raw_values) {
  const std::int64_t row = static_cast<std::int64_t>(step.row_bytes(layer.width));
  for (int h = 0; h < keys.kv_heads; ++h) {
    for (int t = 0; t < step.rows; ++t) {
      const char* raw = raw_values + (static_cast<std::int64_t>(t) * keys.kv_heads + h) * row;
      direct::rms_norm(step.element, RowView(raw, 1, row), nullptr, layer.width, layer.eps,
                       keys.new_values + h * keys.cache_head + t * row);
    }
  }
  const RowView all(raw_keys, static_cast<std::int64_t>(step.rows) * keys.kv_heads, row);
  direct::rms_norm(step.element, all, layer.kv->k_norm, layer.width, layer.eps, raw_keys);
  direct::rope(step.element, {.x = RowView::by_heads(raw_keys, keys.kv_heads, step.rows, row),
                              .heads = keys.kv_heads,
                              .rows = step.rows,
                              .half = layer.width / 2,
                              .table = table,
                              .out = keys.new_keys,
                              .head_step = keys.cache_head,
                              .row_step = row});
}

}  // namespace

void attention_block(const PreparedAttention& layer, const StepRows& step, const char* table,
                     const StepKeys& keys) {
  const std::size_t rows = step.rows;
  const std::size_t x_bytes = rows * step.row_bytes(step.hidden),
                    q_bytes = rows * step.row_bytes(layer.heads * layer.width),
                    kv_bytes =
                        keys.new_keys != nullptr ? rows * step.row_bytes(keys.kv_heads * layer.width) : 0;
  Scratch scratch(Scratch::rounded(x_bytes) + 2 * (Scratch::rounded(q_bytes) + Scratch::rounded(kv_bytes)));
  char* x = scratch.take(x_bytes);
  char* q = scratch.take(q_bytes);
  char* mixed = scratch.take(q_bytes);
  char* raw_keys = scratch.take(kv_bytes);
  char* raw_values = scratch.take(kv_bytes);
  const std::int64_t row = static_cast<std::int64_t>(step.row_bytes(layer.width)),
                     hidden_row = static_cast<std::int64_t>(step.row_bytes(step.hidden));

  direct::rms_norm(step.element, step.h, layer.input_norm, step.hidden, layer.eps, x);
  const RowView normed(x, step.rows, hidden_row);
  const direct::LinearPart queries(layer.q_proj, q);
  if (keys.new_keys != nullptr) {
    // With attention_k_eq_v the values are the normed raw keys.
    const std::optional<WeightView>& v_proj = layer.kv->v_proj;
    const direct::LinearPart parts[] = {
        queries, {layer.kv->k_proj, raw_keys}, {v_proj ? *v_proj : layer.kv->k_proj, raw_values}};
    direct::linear(normed, parts, v_proj ? 3 : 2);
    write_keys_values(layer, step, table, keys, raw_keys, v_proj ? raw_values : raw_keys);
  } else {
    direct::linear(normed, &queries, 1);
  }

  const RowView heads(q, static_cast<std::int64_t>(step.rows) * layer.heads, row);
  direct::rms_norm(step.element, heads, layer.q_norm, layer.width, layer.eps, q);
  direct::rope(step.element, {.x = RowView::by_heads(q, layer.heads, step.rows, row),
                              .heads = layer.heads,
                              .rows = step.rows,
                              .half = layer.width / 2,
                              .table = table,
                              .out = q,
                              .head_step = row,
                              .row_step = layer.heads * row});
  direct::attention({.element = step.element,
                     .q = RowView::by_heads(q, layer.heads, step.rows, row),
                     .keys = keys.keys,
                     .values = keys.values,
                     .key_head = keys.key_head,
                     .key_row = keys.key_row,
                     .value_head = keys.value_head,
                     .value_row = keys.value_row,
                     .heads = layer.heads,
                     .kv_heads = keys.kv_heads,
                     .query_rows = step.rows,
                     .key_rows = keys.key_rows,
                     .width = layer.width,
                     .scale = layer.scale,
                     .masked = keys.mask.has_value(),
                     .mask = keys.mask.value_or(AttentionMask{}),
                     .out = mixed});
  const direct::LinearPart output(layer.o_proj, x);  // (T, H)
  direct::linear(RowView(mixed, step.rows, layer.heads * row), &output, 1);
  direct::rms_norm(step.element, normed, layer.post_norm, step.hidden, layer.eps, x);
  for (int t = 0; t < step.rows; ++t) {
    direct::add(step.element, step.h.row(t), x + t * hidden_row, step.hidden, step.out + t * hidden_row);
  }
}

}  // namespace mlx_gemma::kernels
