// Compiled for AMX (kernels.cmake): nothing but `amx_functions` itself may be called on a processor without
// it.
#if defined(__x86_64__) && defined(MLX_GEMMA_AMX)
#include "rows_amx_linear.h"
#include "rows_amx_packed.h"

namespace mlx_gemma::kernels {

/** Those of AVX-512, but products of bfloat16, which tiles have. */
const RowFunctions& amx_functions() {
  static const RowFunctions functions = [] {
    RowFunctions f = avx512_functions;
    constexpr int kBf16 = static_cast<int>(Element::bf16);
    f.name = "amx";
    f.turns_x[kBf16] = true;
    f.takes_packed[kBf16] = amx::takes;
    f.prepare[kBf16] = amx::prepare_row;
    f.prepare_packed[kBf16] = amx::prepare_packed_row;
    f.linear_narrow[kBf16] = amx::linear_narrow;
    f.linear_wide[kBf16] = amx::linear_wide;
    f.linear_packed[kBf16] = amx::linear_packed;
    return f;
  }();
  return functions;
}

}  // namespace mlx_gemma::kernels
#endif
