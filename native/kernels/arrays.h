// What the primitives share on the side of MLX's arrays.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "isa.h"
#include "kernels.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/primitives.h"

namespace mlx_gemma::kernels {

namespace mx = mlx::core;

/** A primitive of ours: CPU only, no gradients. */
class CpuPrimitive : public mx::UnaryPrimitive {
 public:
  explicit CpuPrimitive(mx::Stream stream) : UnaryPrimitive(stream) {}
  void eval_gpu(const std::vector<array>& inputs, array& out) override;
};

/** The same with several outputs. */
class CpuPrimitives : public mx::Primitive {
 public:
  explicit CpuPrimitives(mx::Stream stream) : Primitive(stream) {}
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
};

/** The stream new operations run on. */
mx::Stream current_stream();

/** Throws std::invalid_argument "<kernel>: <what>" unless `ok`. */
void require(bool ok, const char* kernel, const char* what);

/** The element type as the row functions count it; throws for any other than bfloat16, float16 and float32.
 */
Element element_of(const array& a, const char* kernel);

/** Bytes of an element. */
constexpr std::int64_t element_size(int element) { return element == static_cast<int>(Element::f32) ? 4 : 2; }

/** Element i of a row. */
float float_at(int element, const char* p, int i);

/** Throws unless `indices` are int32 or uint32. */
void check_indices(const array& indices, const char* kernel);

/** The rows of an array as plain numbers that a task can carry: what lies along the last axis, wherever it
 * is. */
struct RowView {
  static constexpr int kAxes = 4;
  const char* data;
  std::int64_t rows;
  bool dense;  // one row after the other
  int axes;    // all but the last
  std::int64_t shape[kAxes];
  std::int64_t strides[kAxes];  // bytes

  RowView() = default;
  explicit RowView(const array& a);
  /** Rows of `row_bytes` one after the other. */
  RowView(const char* data, std::int64_t rows, std::int64_t row_bytes);
  /** Rows (rows, heads) in memory, counted head by head: row h * rows + t. */
  static RowView by_heads(const char* data, int heads, int rows, std::int64_t row_bytes);

  const char* row(std::int64_t index) const {
    if (dense) return data + index * strides[0];
    std::int64_t offset = 0;
    for (int axis = axes - 1; axis >= 0; --axis) {
      offset += index % shape[axis] * strides[axis];
      index /= shape[axis];
    }
    return data + offset;
  }
};

/** `a` if its last axis is dense, else a dense copy that lives until the task is done. */
array dense_rows(const array& a, mx::cpu::CommandEncoder& encoder);
bool has_dense_rows(const array& a);
/** The same of each, as inputs of the task. */
std::vector<array> dense_rows(std::vector<array> arrays, mx::cpu::CommandEncoder& encoder);

/** `a` if all of it is dense in row-major order, else such a copy. */
array dense(const array& a, mx::cpu::CommandEncoder& encoder);

/** Gives `out` memory of its own, row-major. */
void allocate(array& out);

/** Start of the data, for pointer arithmetic in bytes. */
inline const char* bytes_of(const array& a) { return a.data<char>(); }
inline char* bytes_of(array& a) { return a.data<char>(); }

}  // namespace mlx_gemma::kernels
