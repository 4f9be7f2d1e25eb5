// Compiled with AVX2, FMA and F16C (kernels.cmake): nothing here may be called on a processor without them.
#if defined(__x86_64__)
#include "row_functions.h"
#include "simd_avx2.h"

namespace mlx_gemma::kernels {
extern constinit const RowFunctions avx2_functions = rows::functions<Avx2>("avx2");
}
#endif
