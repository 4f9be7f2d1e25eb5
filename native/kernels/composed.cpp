// The blocks as compositions.
#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "blocks.h"
#include "mlx/ops.h"
#include "mlx_operations.h"

namespace mlx_gemma::kernels {

namespace mx = mlx::core;

namespace {

/** (1, T, n * d) → (1, n, T, d), each head normed. */
array normed_heads(const array& x, int width, const std::optional<array>& norm, float eps) {
  const int rows = x.shape(1), heads = x.shape(2) / width;
  return mx::transpose(rms_norm(mx::reshape(x, {1, rows, heads, width}), norm, eps), {0, 2, 1, 3});
}

/** write_keys_values() from x = input_layernorm(h) on. */
std::pair<array, array> written(const array& x, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache) {
  const int width = cache.keys.shape(3);
  const array raw_keys = project(x, layer.kv->k_proj);
  const array raw_values = layer.kv->v_proj ? project(x, *layer.kv->v_proj) : raw_keys;
  const array keys = rope(normed_heads(raw_keys, width, layer.kv->k_norm, layer.eps), rope_table);
  const array values = normed_heads(raw_values, width, std::nullopt, layer.eps);
  return {kv_write(cache.keys, keys, cache.offset), kv_write(cache.values, values, cache.offset)};
}

/** (1, heads, T, d) */
array queries(const array& x, const AttentionLayer& layer, const array& rope_table, int width) {
  return rope(normed_heads(project(x, layer.q_proj), width, layer.q_norm, layer.eps), rope_table);
}

/** attention_block() from mixed = attention(…), (1, heads, T, d), on. */
array output(const array& h, const array& mixed, const AttentionLayer& layer) {
  const array joined =
      mx::reshape(mx::transpose(mixed, {0, 2, 1, 3}), {1, h.shape(1), layer.heads * mixed.shape(3)});
  return mx::add(h, rms_norm(project(joined, layer.o_proj), layer.post_attention_layernorm, layer.eps));
}

/** attention_block() from x = input_layernorm(h) on. */
array attended(const array& h, const array& x, const AttentionLayer& layer, const array& rope_table,
               const KeyRows& seen) {
  const array q = queries(x, layer, rope_table, seen.keys.shape(3));
  return output(h, attention(q, seen.keys, seen.values, layer.scale, seen.mask), layer);
}

array rows_of(const array& heads, int begin, int end) {
  return mx::slice(heads, {0, 0, begin, 0}, {1, heads.shape(1), end, heads.shape(3)});
}

/** The same with the keys of each group; `cache` has the step's rows already. */
array attended(const array& h, const array& x, const AttentionLayer& layer, const array& rope_table,
               const CacheRows& cache, const std::vector<KeyGroup>& groups) {
  const array q = queries(x, layer, rope_table, cache.keys.shape(3));
  std::vector<array> mixed;
  for (const KeyGroup& group : groups) {
    // MLX would count from the end.
    if (group.keys.begin < cache.first_position) throw std::logic_error("keys that are seen are gone");
    const int begin = group.keys.begin - cache.first_position, end = group.keys.end - cache.first_position;
    const array all = operations::attention(q, rows_of(cache.keys, begin, end),
                                            rows_of(cache.values, begin, end), layer.scale, group.visible);
    mixed.push_back(groups.size() == 1 ? all : rows_of(all, group.first_row, group.first_row + group.rows));
  }
  return output(h, mixed.size() == 1 ? mixed[0] : mx::concatenate(mixed, 2), layer);
}

}  // namespace

array scaled(const array& x, float factor) {
  return mx::astype(mx::multiply(mx::astype(x, mx::float32), array(factor)), x.dtype());
}

array project(const array& x, const Matrix& matrix) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) return quantized_linear(x, *packed);
  return linear(x, std::get<array>(matrix));
}

int outputs(const Matrix& matrix) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) return packed->outputs();
  return std::get<array>(matrix).shape(0);
}

int inputs_of(const Matrix& matrix) {
  if (const auto* packed = std::get_if<QuantizedWeight>(&matrix)) return packed->inputs();
  return std::get<array>(matrix).shape(-1);
}

std::pair<array, array> write_keys_values(const array& h, const AttentionLayer& layer,
                                          const array& rope_table, const CacheRows& cache) {
  return written(rms_norm(h, layer.input_layernorm, layer.eps), layer, rope_table, cache);
}

namespace composed {

array attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                      const KeyRows& seen) {
  return attended(h, rms_norm(h, layer.input_layernorm, layer.eps), layer, rope_table, seen);
}

AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache) {
  const array x = rms_norm(h, layer.input_layernorm, layer.eps);
  const auto [keys, values] = written(x, layer, rope_table, cache);
  const int begin = cache.window > 0 ? std::max(0, cache.offset - cache.window + 1) : 0;
  const int end = cache.offset + h.shape(1);
  const AttentionMask mask{cache.first_position + cache.offset, cache.window, cache.first_position + begin};
  const KeyRows seen{rows_of(keys, begin, end), rows_of(values, begin, end), mask};
  return {attended(h, x, layer, rope_table, seen), keys, values};
}

AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache, const std::vector<KeyGroup>& groups) {
  const array x = rms_norm(h, layer.input_layernorm, layer.eps);
  CacheRows filled = cache;
  if (layer.kv) std::tie(filled.keys, filled.values) = written(x, layer, rope_table, cache);
  return {attended(h, x, layer, rope_table, filled, groups), filled.keys, filled.values};
}

array feed_forward_block(const array& h, const FeedForwardLayer& layer,
                         const std::optional<PerLayerRows>& per_layer) {
  const array x = rms_norm(h, layer.pre_feedforward_layernorm, layer.eps);
  const array inner = gelu_multiply(project(x, layer.gate_proj), project(x, layer.up_proj));  // (1, T, I)
  array fed = project(inner, layer.down_proj);
  if (layer.experts) fed = layer.experts(fed, h);
  array y = mx::add(h, rms_norm(fed, layer.post_feedforward_layernorm, layer.eps));
  if (layer.per_layer_input) {
    const auto& [gate, projection, norm] = *layer.per_layer_input;
    const int size = outputs(gate), begin = per_layer->layer * size;
    const array own = mx::slice(per_layer->all, {0, 0, begin}, {1, h.shape(1), begin + size});  // (1, T, P)
    const array gated = gelu_multiply(project(y, gate), own);
    y = mx::add(y, rms_norm(project(gated, projection), norm, layer.eps));
  }
  return mx::multiply(y, layer.layer_scalar);
}

array per_layer_inputs(const array& projected, const array& embedded, const PerLayerMix& mix) {
  const int rows = projected.shape(1), size = mix.norm.shape(0), layers = projected.shape(2) / size;
  const array parts = mx::reshape(scaled(projected, mix.projection_scale), {1, rows, layers, size});
  const array context = mx::reshape(rms_norm(parts, mix.norm, mix.eps), projected.shape());
  return scaled(mx::add(context, embedded), mix.scale);
}

}  // namespace composed
}  // namespace mlx_gemma::kernels
