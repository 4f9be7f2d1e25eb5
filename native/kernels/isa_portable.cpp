// Compiled for the platform's baseline: NEON on arm64, otherwise what every processor has.
#include "row_functions.h"
#include "simd_portable.h"

namespace mlx_gemma::kernels {
#if defined(__aarch64__)
extern constinit const RowFunctions portable_functions = rows::functions<Portable>("neon");
#else
extern constinit const RowFunctions portable_functions = rows::functions<Portable>("scalar");
#endif
}  // namespace mlx_gemma::kernels
