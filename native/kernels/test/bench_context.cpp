// Attention over many keys, as a step far into a text meets them: GB of keys and values a second.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "bench.h"
#include "kernels/kernels.h"
#include "kernels/thread_pool.h"

namespace mlx_gemma::kernels::bench {
namespace {

/** Rows of keys, and as many of values, that together no cache holds. */
constexpr double kBytes = 256 << 20;

/** GB a second of all threads that read `a` and do next to nothing with it. */
double read_rate(const mx::array& a) {
  constexpr int kParts = 64;
  const auto* words = a.data<std::uint64_t>();
  const std::size_t part = a.nbytes() / sizeof(std::uint64_t) / kParts;
  double best = 1e30;
  for (int i = 0; i < 5; ++i) {
    std::uint64_t sums[kParts];
    const auto start = Clock::now();
    parallel_for(kParts, [&](int p) {
      std::uint64_t sum = 0;
      for (std::size_t k = p * part; k < (p + 1) * part; ++k) sum += words[k];
      sums[p] = sum;
    });
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    volatile std::uint64_t kept = 0;
    for (const std::uint64_t sum : sums) kept = kept + sum;
  }
  return double(a.nbytes()) / best / 1e9;
}

void attention_over(const mx::array& keys, const mx::array& values, int heads, int seen, int rows,
                    double limit) {
  const int width = keys.shape(3), views = keys.shape(2) / seen;
  const mx::array q = random({1, heads, rows, width}, keys.dtype());
  const AttentionMask mask{.query_offset = seen - rows};
  std::size_t next = 0;
  const double ms = best_ms(
      [&] {
        const int from = static_cast<int>(next++ % views) * seen;
        const auto view = [&](const mx::array& a) {
          return mx::slice(a, {0, 0, from, 0}, {1, 1, from + seen, width});
        };
        return attention(q, view(keys), view(values), 1.0f, mask);
      },
      views, 600);
  const double rate = 2.0 * seen * width * static_cast<double>(keys.itemsize()) / ms / 1e6;
  std::printf("context keys %6d d %3d heads %d rows %d: %8.4f ms %6.1f GB/s, %4.2f of the stream\n", seen,
              width, heads, rows, ms, rate, rate / limit);
}

}  // namespace

void context() {
  for (const int width : {256, 512}) {
    const mx::Shape shape{1, 1, static_cast<int>(kBytes / 2 / (2.0 * width)), width};
    const mx::array keys = random(shape, mx::bfloat16), values = random(shape, mx::bfloat16);
    const double limit = read_rate(keys);
    std::printf("stream %27.1f GB/s\n", limit);
    for (const int heads : {4, 8})
      for (const int rows : {1, 4})
        for (const int seen : {1024, 8192, 32768}) attention_over(keys, values, heads, seen, rows, limit);
  }
}

}  // namespace mlx_gemma::kernels::bench
