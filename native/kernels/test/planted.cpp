// Defects on purpose, which a sanitizer must find: the negative control of scripts/sanitizers.mjs. Each lies
// in what the product calls, compiled as the product is, over MLX's memory, and in the instruction set that
// is forced.
#include <atomic>
#include <climits>
#include <cstdio>
#include <thread>

#include "check.h"
#include "kernels/isa.h"
#include "kernels/thread_pool.h"

namespace mlx_gemma::kernels::test {
namespace {

/** A kernel that is told of one row element more than there is. */
void read_beyond() {
  constexpr int n = 256;
  const mx::array x = normal({n}, mx::float32);
  std::vector<float> out(2 * n);
  row_functions().widen[static_cast<int>(Element::f32)](x.data<float>(), n + 4, out.data());
}

/** The same behind an output. */
void write_beyond() {
  constexpr int n = 256;
  const mx::array x = normal({2 * n}, mx::float32);
  mx::array out = normal({n}, mx::float32);
  row_functions().narrow[static_cast<int>(Element::f32)](x.data<float>(), n + 4, out.data<float>());
}

/** A kernel reads an array whose memory is given back. */
void read_freed() {
  constexpr int n = 1 << 20;
  const float* data;
  {
    const mx::array x = normal({n}, mx::float32);
    data = x.data<float>();
  }
  mx::clear_cache();
  std::vector<float> out(n);
  row_functions().widen[static_cast<int>(Element::f32)](data, n, out.data());
}

void overflow() {
  volatile int depth = INT_MAX;
  std::printf("%td\n", packed_row_sums(depth));
}

/** Two tasks of a job write the same row. */
void race() {
  constexpr int n = 256;
  const mx::array x = normal({n}, mx::float32);
  mx::array out = normal({n}, mx::float32);
  const float* from = x.data<float>();
  float* to = out.data<float>();
  set_threads(2);
  std::atomic<int> inside{0};
  parallel_for(2, [&](int) {
    // Neither is done before the other is there, so that they are on two threads. Relaxed: it orders nothing.
    inside.fetch_add(1, std::memory_order_relaxed);
    while (inside.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
    row_functions().narrow[static_cast<int>(Element::f32)](from, n, to);
  });
}

/** A job's result is read by somebody who did not wait for it. */
void no_wait() {
  int result = 0;
  std::atomic<bool> done{false};
  std::thread other([&] {
    parallel_for(2, [&](int i) {
      if (i == 0) result = 1;
    });
    done.store(true, std::memory_order_relaxed);
  });
  while (!done.load(std::memory_order_relaxed)) std::this_thread::yield();
  std::printf("%d\n", result);
  other.join();
}

}  // namespace

bool plant(const std::string& defect) {
  if (defect == "read-beyond") return read_beyond(), true;
  if (defect == "write-beyond") return write_beyond(), true;
  if (defect == "read-freed") return read_freed(), true;
  if (defect == "overflow") return overflow(), true;
  if (defect == "race") return race(), true;
  if (defect == "no-wait") return no_wait(), true;
  return false;
}

}  // namespace mlx_gemma::kernels::test
