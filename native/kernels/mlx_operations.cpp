#include "mlx_operations.h"

#include <vector>

#include "mlx/compile.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx_gemma::kernels::operations {

namespace mx = mlx::core;

namespace {

using Arrays = std::vector<array>;

/** An elementwise function as one kernel on a GPU. For a CPU, MLX would call a C++ compiler: there it runs as
 * it stands. */
array fused(Arrays (*function)(const Arrays&), const Arrays& inputs) {
  if (mx::default_device() == mx::Device::cpu) return function(inputs)[0];
  return mx::compile(function)(inputs)[0];
}

}  // namespace

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

array visible_keys(const AttentionMask& mask, int query_rows, int key_rows) {
  const array query = mx::expand_dims(mx::arange(mask.query_offset, mask.query_offset + query_rows), 1);
  const array key = mx::expand_dims(mx::arange(mask.key_offset, mask.key_offset + key_rows), 0);
  const array distance = mx::subtract(query, key);  // (T, S)
  const array visible = mx::greater_equal(distance, array(0));
  return mask.window > 0 ? mx::logical_and(visible, mx::less(distance, array(mask.window))) : visible;
}

array attention(const array& q, const array& keys, const array& values, float scale,
                std::optional<AttentionMask> mask) {
  if (!mask) return mx::fast::scaled_dot_product_attention(q, keys, values, scale);
  return attention(q, keys, values, scale, visible_keys(*mask, q.shape(2), keys.shape(2)));
}

array attention(const array& q, const array& keys, const array& values, float scale, const array& visible) {
  return mx::fast::scaled_dot_product_attention(q, keys, values, scale, "array", visible);
}

array kv_write(const array& buffer, const array& update, int offset) {
  mx::Shape start{0, 0, offset, 0};
  mx::Shape stop = buffer.shape();
  stop[2] = offset + update.shape(2);
  return mx::slice_update(buffer, mx::astype(update, buffer.dtype()), start, stop);
}

array softcap(const array& x, float cap) {
  const auto capped = [](const Arrays& in) {
    return Arrays{mx::multiply(mx::tanh(mx::divide(in[0], in[1])), in[1])};
  };
  return fused(capped, {x, array(cap, x.dtype())});
}

array gelu_multiply(const array& gate, const array& up) {
  const auto activated = [](const Arrays& in) {
    const array g = mx::astype(in[0], mx::float32);
    const array cube = mx::multiply(mx::multiply(g, g), g);
    const array inner =
        mx::multiply(array(0.7978845608028654f), mx::add(g, mx::multiply(array(0.044715f), cube)));
    const array gelu = mx::multiply(mx::multiply(array(0.5f), g), mx::add(array(1.0f), mx::tanh(inner)));
    return Arrays{mx::multiply(mx::astype(gelu, in[0].dtype()), in[1])};
  };
  return fused(activated, {gate, up});
}

array rms_norm(const array& x, const std::optional<array>& weight, float eps) {
  return mx::astype(mx::fast::rms_norm(x, weight, eps), x.dtype());
}

array rope_table(const array& inverse_frequencies, int position, int rows, mx::Dtype dtype) {
  const array positions = mx::arange(static_cast<double>(position), position + rows, mx::float32);
  const array angles = mx::multiply(mx::expand_dims(positions, 1), inverse_frequencies);  // (T, d/2)
  return mx::astype(mx::stack({mx::cos(angles), mx::sin(angles)}), dtype);                // (2, T, d/2)
}

array rope(const array& x, const array& table) {
  const int heads = x.shape(1), rows = x.shape(2), half = x.shape(3) / 2;
  const auto part = [&](int index) {  // (T, 1, d/2)
    return mx::reshape(mx::slice(table, {index, 0, 0}, {index + 1, rows, half}), {rows, 1, half});
  };
  const array halves = mx::reshape(x, {1, heads, rows, 2, half});
  const array swapped = mx::slice(halves, {0, 0, 0, 1, 0}, {1, heads, rows, -3, half}, {1, 1, 1, -1, 1});
  const auto turned = [](const Arrays& in) {
    return Arrays{mx::add(mx::multiply(in[0], in[2]), mx::multiply(mx::multiply(in[1], in[3]), in[4]))};
  };
  const array signs = mx::astype(array({-1.0f, 1.0f}, {2, 1}), x.dtype());
  return mx::reshape(fused(turned, {halves, swapped, part(0), part(1), signs}), x.shape());
}

}  // namespace mlx_gemma::kernels::operations
