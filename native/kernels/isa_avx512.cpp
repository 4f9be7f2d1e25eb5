// Compiled with AVX-512 F and DQ (kernels.cmake): nothing here may be called on a processor without them.
#if defined(__x86_64__)
#include "row_functions.h"
#include "simd_avx512.h"

namespace mlx_gemma::kernels {
extern constinit const RowFunctions avx512_functions = rows::functions<Avx512>("avx512");
}
#endif
