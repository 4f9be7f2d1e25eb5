// How MLX packs weights.
#pragma once

namespace mlx_gemma::kernels {

/** `mode` of mx::quantize: what a code stands for. QuantizedWeight in kernels.h tells the rest. */
enum class QuantizationMode { affine, mxfp4, mxfp8, nvfp4 };

}  // namespace mlx_gemma::kernels
