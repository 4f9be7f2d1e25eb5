// Compiled for AMX (kernels.cmake): nothing but `amx_functions` itself may be called on a processor without
// it.
#if defined(__x86_64__) && defined(MLX_GEMMA_AMX)
#include "rows_amx_attention.h"
#include "rows_amx_linear.h"
#include "rows_amx_packed.h"

namespace mlx_gemma::kernels {

/** Those of AVX-512, but products of bfloat16 and attention, which tiles have. */
const RowFunctions& amx_functions() {
  static const RowFunctions functions = [] {
    RowFunctions f = avx512_functions;
    f.name = "amx";
    f.turns_x[amx::kBf16] = true;
    f.takes_packed[amx::kBf16] = amx::takes;
    f.prepare[amx::kBf16] = amx::prepare_row;
    f.prepare_packed[amx::kBf16] = amx::prepare_packed_row;
    f.linear_narrow[amx::kBf16] = amx::linear_narrow;
    f.linear_wide[amx::kBf16] = amx::linear_wide;
    f.linear_packed[amx::kBf16] = amx::linear_packed;
    f.load_queries[amx::kBf16] = amx::load_queries;
    f.attend_block[amx::kBf16] = amx::attend_block;
    return f;
  }();
  return functions;
}

}  // namespace mlx_gemma::kernels
#endif
