// The table of an instruction set, filled from the templates.
#pragma once

#include "isa.h"
#include "rows_attention.h"
#include "rows_elementwise.h"
#include "rows_linear.h"
#include "rows_packed_linear.h"

namespace mlx_gemma::kernels::rows {

#define MLX_GEMMA_EACH_TYPE(f) \
  { f<V, bf16>, f<V, f16>, f<V, float> }

template <class V>
constexpr RowFunctions functions(const char* name) {
  return RowFunctions{
      .name = name,
      .pair = V::pair,
      .turns_x = {},
      .widen = MLX_GEMMA_EACH_TYPE(widen),
      .prepare = MLX_GEMMA_EACH_TYPE(widen),
      .prepare_packed = MLX_GEMMA_EACH_TYPE(prepare_packed),
      .narrow = MLX_GEMMA_EACH_TYPE(narrow),
      .linear_narrow = MLX_GEMMA_EACH_TYPE(linear_narrow),
      .linear_wide = MLX_GEMMA_EACH_TYPE(linear_wide),
      .takes_packed = {},
      .linear_packed = MLX_GEMMA_EACH_TYPE(linear_packed),
      .dequantize = MLX_GEMMA_EACH_TYPE(dequantize),
      .load_queries = MLX_GEMMA_EACH_TYPE(load_queries),
      .attend_block = MLX_GEMMA_EACH_TYPE(attend_block),
      .merge = merge<V>,
      .finish = MLX_GEMMA_EACH_TYPE(finish),
      .gelu_multiply = MLX_GEMMA_EACH_TYPE(gelu_multiply),
      .add = MLX_GEMMA_EACH_TYPE(add),
      .softcap = MLX_GEMMA_EACH_TYPE(softcap),
      .scale = MLX_GEMMA_EACH_TYPE(scale),
      .argmax = MLX_GEMMA_EACH_TYPE(argmax),
      .exponentials = exponentials<V>,
      .rms_norm = MLX_GEMMA_EACH_TYPE(rms_norm),
      .rope_table = MLX_GEMMA_EACH_TYPE(rope_table),
      .rope_row = MLX_GEMMA_EACH_TYPE(rope_row),
  };
}

#undef MLX_GEMMA_EACH_TYPE

}  // namespace mlx_gemma::kernels::rows
