// Intel AMX: registers that hold tiles of 16 rows of 64 bytes, and products of two tiles of bfloat16.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlx_gemma::kernels::amx {

/** True if the processor has tiles and products of bfloat16, and the system lets this process use them. Asks
 * for it at the first call. */
bool available();

/** Rows of a tile, and elements of bfloat16 in one. */
constexpr int kRows = 16;
constexpr int kTileDepth = 32;

}  // namespace mlx_gemma::kernels::amx
