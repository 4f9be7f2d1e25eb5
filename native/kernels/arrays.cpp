#include "arrays.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "mlx/allocator.h"
#include "mlx/device.h"
#include "mlx/types/half_types.h"
#include "mlx/utils.h"

namespace mlx_gemma::kernels {

namespace {

[[noreturn]] void refuse_gpu(const char* name) {
  throw std::runtime_error(std::string(name) + " is a CPU kernel; on a GPU stream use MLX's operations");
}

}  // namespace

void CpuPrimitive::eval_gpu(const std::vector<array>&, array&) { refuse_gpu(name()); }

void CpuPrimitives::eval_gpu(const std::vector<array>&, std::vector<array>&) { refuse_gpu(name()); }

mx::Stream current_stream() { return mx::default_stream(mx::default_device()); }

void require(bool ok, const char* kernel, const char* what) {
  if (!ok) throw std::invalid_argument(std::string(kernel) + ": " + what);
}

Element element_of(const array& a, const char* kernel) {
  if (a.dtype() == mx::bfloat16) return Element::bf16;
  if (a.dtype() == mx::float16) return Element::f16;
  require(a.dtype() == mx::float32, kernel, "expected bfloat16, float16 or float32");
  return Element::f32;
}

void check_indices(const array& indices, const char* kernel) {
  require(indices.dtype() == mx::int32 || indices.dtype() == mx::uint32, kernel,
          "expected int32 or uint32 indices");
}

RowView::RowView(const array& a) : data(bytes_of(a)), dense(a.flags().row_contiguous) {
  const std::int64_t size = static_cast<std::int64_t>(a.itemsize());
  const std::int64_t width = a.ndim() > 0 ? a.shape(-1) : 1;
  rows = width > 0 ? static_cast<std::int64_t>(a.size()) / width : 0;
  axes = std::max(static_cast<int>(a.ndim()) - 1, 0);
  if (dense) {
    axes = 1;
    shape[0] = rows;
    strides[0] = width * size;
    return;
  }
  require(axes <= kAxes, "kernels", "a strided array has more than five axes");
  for (int axis = 0; axis < axes; ++axis) {
    shape[axis] = a.shape(axis);
    strides[axis] = a.strides(axis) * size;
  }
}

RowView::RowView(const char* data, std::int64_t rows, std::int64_t row_bytes)
    : data(data), rows(rows), dense(true), axes(1), shape{rows}, strides{row_bytes} {}

RowView RowView::by_heads(const char* data, int heads, int rows, std::int64_t row_bytes) {
  RowView view(data, static_cast<std::int64_t>(heads) * rows, row_bytes);
  if (heads == 1 || rows == 1) return view;
  view.dense = false;
  view.axes = 2;
  view.shape[0] = heads;
  view.shape[1] = rows;
  view.strides[0] = row_bytes;
  view.strides[1] = heads * row_bytes;
  return view;
}

float float_at(int element, const char* p, int i) {
  if (element == static_cast<int>(Element::f32)) return reinterpret_cast<const float*>(p)[i];
  if (element == static_cast<int>(Element::f16)) {
    return static_cast<float>(reinterpret_cast<const mx::float16_t*>(p)[i]);
  }
  return static_cast<float>(reinterpret_cast<const mx::bfloat16_t*>(p)[i]);
}

namespace {

/** Copies element by element: a way out for layouts that the models do not make, not a fast path. */
array copied(const array& a, mx::cpu::CommandEncoder& encoder) {
  array out(a.shape(), a.dtype(), nullptr, {});
  allocate(out);
  encoder.add_temporary(out);
  const std::int64_t size = static_cast<std::int64_t>(a.itemsize());
  const std::int64_t width = a.shape(-1), step = a.strides(-1) * size;
  encoder.dispatch([view = RowView(a), to = bytes_of(out), size, width, step]() {
    for (std::int64_t row = 0; row < view.rows; ++row) {
      const char* from = view.row(row);
      for (std::int64_t i = 0; i < width; ++i)
        std::memcpy(to + (row * width + i) * size, from + i * step, size);
    }
  });
  return out;
}

}  // namespace

bool has_dense_rows(const array& a) { return a.size() == 0 || a.shape(-1) == 1 || a.strides(-1) == 1; }

array dense_rows(const array& a, mx::cpu::CommandEncoder& encoder) {
  return has_dense_rows(a) ? a : copied(a, encoder);
}

std::vector<array> dense_rows(std::vector<array> arrays, mx::cpu::CommandEncoder& encoder) {
  for (array& a : arrays) {
    a = dense_rows(a, encoder);
    encoder.set_input_array(a);
  }
  return arrays;
}

array dense(const array& a, mx::cpu::CommandEncoder& encoder) {
  return a.flags().row_contiguous || a.size() == 0 ? a : copied(a, encoder);
}

void allocate(array& out) { out.set_data(mx::allocator::malloc(out.nbytes())); }

}  // namespace mlx_gemma::kernels
