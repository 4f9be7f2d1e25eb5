// Scratch memory of a task that runs several kernels one after the other.
#pragma once

#include <cstddef>

#include "thread_pool.h"

namespace mlx_gemma::kernels {

/** Cuts pieces off one piece of scratch; each begins at a cache line. */
class Scratch {
 public:
  static constexpr std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

  explicit Scratch(std::size_t bytes)
      : at_(reinterpret_cast<char*>(thread_scratch(kBlockScratch, bytes / sizeof(float) + 1))) {}

  char* take(std::size_t bytes) {
    char* piece = at_;
    at_ += rounded(bytes);
    return piece;
  }

 private:
  char* at_;
};

}  // namespace mlx_gemma::kernels
