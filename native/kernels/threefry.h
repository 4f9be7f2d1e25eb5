// Random numbers that depend on a key alone.
#pragma once

#include <array>
#include <cstdint>

namespace mlx_gemma::kernels {

/** Two words that a draw depends on. */
using RandomKey = std::array<std::uint32_t, 2>;

/** Threefry-2x32 of 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). */
constexpr std::array<std::uint32_t, 2> threefry(const RandomKey& key, std::array<std::uint32_t, 2> counter) {
  constexpr int kTurns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const std::uint32_t schedule[3] = {key[0], key[1], 0x1bd11bdau ^ key[0] ^ key[1]};
  auto& [a, b] = counter;
  a += schedule[0], b += schedule[1];
  for (std::uint32_t four = 0; four < 5; ++four) {
    for (const int turn : kTurns[four % 2]) {
      a += b;
      b = (b << turn | b >> (32 - turn)) ^ a;
    }
    a += schedule[(four + 1) % 3], b += schedule[(four + 2) % 3] + four + 1;
  }
  return counter;
}

/** A multiple of 2^-53 in [0, 1). */
constexpr double uniform(const RandomKey& key) {
  const auto [upper, lower] = threefry(key, {0, 0});
  return static_cast<double>(static_cast<std::uint64_t>(upper) << 21 | lower >> 11) * 0x1p-53;
}

}  // namespace mlx_gemma::kernels
