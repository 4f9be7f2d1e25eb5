// Threads of our own for the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlx_gemma::kernels {

/**
 * Calls task(context, i) once for every i in [0, count), on this thread and on idle workers, and returns when
 * all are done. Which thread takes which i is left to chance: results must not depend on it. A second caller
 * at the same time does its work alone, and so does a task that calls this again.
 */
void parallel(int count, void (*task)(void* context, int i), void* context);

/** The same with a callable. It must not throw. */
template <class F>
void parallel_for(int count, F&& f) {
  if (count == 1) return f(0);
  parallel(
      count, [](void* context, int i) { (*static_cast<F*>(context))(i); }, &f);
}

/** Into how many tasks to split `work` (in multiply-adds, or bytes read) of at most `most` parts. */
int task_count(double work, int most);

/** Calls f(row) once for every row in [0, rows), in as many tasks as `work` is worth. It must not throw. */
template <class F>
void parallel_rows(std::int64_t rows, double work, F&& f) {
  const int tasks = task_count(work, static_cast<int>(rows));
  parallel_for(tasks, [&](int task) {
    for (std::int64_t r = rows * task / tasks; r < rows * (task + 1) / tasks; ++r) f(r);
  });
}

/** The slot of blocks, which call kernels that use the others. */
constexpr int kBlockScratch = 4;

/** Floats that belong to the calling thread, 64-byte aligned; `slot` tells apart those in use at the same
 * time. */
float* thread_scratch(int slot, std::size_t floats);

}  // namespace mlx_gemma::kernels
