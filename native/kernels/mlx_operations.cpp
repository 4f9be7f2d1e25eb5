#include "mlx_operations.h"

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx_gemma::kernels::operations {

namespace mx = mlx::core;

array linear(const array& x, const array& weight) {
  return mx::matmul(x, mx::transpose(mx::astype(weight, x.dtype())));
}

array quantized_linear(const array& x, const QuantizedWeight& w) {
  return mx::astype(
      mx::quantized_matmul(x, w.weight, w.scales, w.biases, true, w.group_size, w.bits, name(w.mode)),
      x.dtype());
}

array dequantize_rows(const QuantizedWeight& w, const array& rows, mx::Dtype dtype) {
  const auto taken = [&](const array& a) { return mx::take(a, rows, 0); };
  std::optional<array> biases;
  if (w.biases) biases = taken(*w.biases);
  return mx::dequantize(taken(w.weight), taken(w.scales), biases, w.group_size, w.bits, name(w.mode),
                        std::nullopt, dtype);
}

// x (…, k or 1, I) as matrices of one row, (…, k or 1, 1, I), gives (…, k, 1, O).
array experts_linear(const array& x, const array& weight, const array& indices) {
  // On a CPU, MLX's gather_mm takes float32 alone.
  const mx::Dtype dtype = mx::default_device() == mx::Device::cpu ? mx::float32 : x.dtype();
  const array stack = mx::swapaxes(mx::astype(weight, dtype), 1, 2);
  const array rows = mx::expand_dims(mx::astype(x, dtype), -2);
  return mx::astype(mx::squeeze(mx::gather_mm(rows, stack, std::nullopt, indices), -2), x.dtype());
}

array experts_linear(const array& x, const QuantizedWeight& w, const array& indices) {
  const array out = mx::gather_qmm(mx::expand_dims(x, -2), w.weight, w.scales, w.biases, std::nullopt,
                                   indices, true, w.group_size, w.bits, name(w.mode));
  return mx::astype(mx::squeeze(out, -2), x.dtype());
}

array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask) {
  if (!mask) return mx::fast::scaled_dot_product_attention(q, keys, values, scale);
  const int query_rows = q.shape(2);
  const int key_rows = keys.shape(2);
  const array query = mx::expand_dims(mx::arange(mask->query_offset, mask->query_offset + query_rows), 1);
  const array key = mx::expand_dims(mx::arange(mask->key_offset, mask->key_offset + key_rows), 0);
  const array distance = mx::subtract(query, key);  // (T, S)
  array visible = mx::greater_equal(distance, array(0));
  if (mask->window > 0) visible = mx::logical_and(visible, mx::less(distance, array(mask->window)));
  return mx::fast::scaled_dot_product_attention(q, keys, values, scale, "array", visible);
}

array kv_write(const array& buffer, const array& update, int offset) {
  mx::Shape start{0, 0, offset, 0};
  mx::Shape stop = buffer.shape();
  stop[2] = offset + update.shape(2);
  return mx::slice_update(buffer, mx::astype(update, buffer.dtype()), start, stop);
}

array softcap(const array& x, float cap) {
  const array by(cap, x.dtype());
  return mx::multiply(mx::tanh(mx::divide(x, by)), by);
}

array gelu_multiply(const array& gate, const array& up) {
  const array g = mx::astype(gate, mx::float32);
  const array cube = mx::multiply(mx::multiply(g, g), g);
  const array inner =
      mx::multiply(array(0.7978845608028654f), mx::add(g, mx::multiply(array(0.044715f), cube)));
  const array gelu = mx::multiply(mx::multiply(array(0.5f), g), mx::add(array(1.0f), mx::tanh(inner)));
  return mx::multiply(mx::astype(gelu, gate.dtype()), up);
}

array rms_norm(const array& x, const std::optional<array>& weight, float eps) {
  const array wide = mx::astype(x, mx::float32);
  const array mean = mx::mean(mx::square(wide), -1, true);
  array out = mx::multiply(wide, mx::rsqrt(mx::add(mean, array(eps))));
  if (weight) out = mx::multiply(out, mx::astype(*weight, mx::float32));
  return mx::astype(out, x.dtype());
}

array rope_table(const array& inverse_frequencies, int position, int rows, mx::Dtype dtype) {
  const array positions = mx::arange(static_cast<double>(position), position + rows, mx::float32);
  const array angles = mx::multiply(mx::expand_dims(positions, 1), inverse_frequencies);  // (T, d/2)
  return mx::astype(mx::stack({mx::cos(angles), mx::sin(angles)}), dtype);                // (2, T, d/2)
}

array rope(const array& x, const array& table) {
  const array cos = mx::take(table, 0, 0), sin = mx::take(table, 1, 0);  // (T, d/2)
  const auto halves = mx::split(x, 2, -1);                               // (1, heads, T, d/2) each
  const array low = mx::subtract(mx::multiply(halves[0], cos), mx::multiply(halves[1], sin));
  const array high = mx::add(mx::multiply(halves[1], cos), mx::multiply(halves[0], sin));
  return mx::concatenate({low, high}, -1);
}

}  // namespace mlx_gemma::kernels::operations
