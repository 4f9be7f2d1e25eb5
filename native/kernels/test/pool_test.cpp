// The threads: every task once, whoever calls, however often their number changes. What the threads do to
// each other's memory only ThreadSanitizer sees (scripts/sanitizers.mjs).
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "check.h"
#include "kernels/thread_pool.h"

namespace mlx_gemma::kernels::test {
namespace {

/** Tasks that leave their mark in plain memory, which the caller reads afterwards. */
bool every_task_once(int count) {
  std::vector<int> marks(count);
  parallel_for(count, [&](int i) { ++marks[i]; });
  for (const int mark : marks) {
    if (mark != 1) return false;
  }
  return true;
}

void jobs(int threads) {
  set_threads(threads);
  bool ok = true;
  for (int i = 0; i < 200; ++i) ok = ok && every_task_once(uniform(0, 60));
  check(ok, std::to_string(threads) + " threads: every task once");
}

/** Jobs that are small next to each other keep workers awake; after a pause they must be woken. */
void pauses() {
  set_threads(3);
  bool ok = true;
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ok = ok && every_task_once(8);
  }
  check(ok, "after pauses");
}

void callers() {
  set_threads(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) wrong += !every_task_once(1 + i % 20);
    });
  }
  for (int i = 0; i < 20; ++i) set_threads(1 + i % 4);
  for (std::thread& caller : callers) caller.join();
  check(wrong == 0, "three callers at once, and other numbers of threads meanwhile");
}

/** Workers end at any moment of their lives: when they have just begun, after a job, or on their way to
 * sleep. A lost end is a test that never ends. */
void endings() {
  bool ok = true;
  for (int i = 0; i < 3000; ++i) {
    set_threads(2 + i % 3);
    ok = ok && every_task_once(3);
    const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(i * 7 % 3000 * 10);
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  check(ok, "workers that end at any moment");
}

/** Where no more threads are to be had, here for they would ask for too much stack, the work is done. */
void no_threads() {
#ifdef __GLIBC__
  pthread_attr_t before, huge;
  pthread_getattr_default_np(&before);
  pthread_getattr_default_np(&huge);
  pthread_attr_setstacksize(&huge, std::size_t{1} << 46);
  pthread_setattr_default_np(&huge);
  set_threads(4);
  bool refused = false, ok = every_task_once(8);
  try {
    std::thread([] {}).join();
  } catch (const std::system_error&) {
    refused = true;
  }
  pthread_setattr_default_np(&before);
  set_threads(4);
  ok = ok && every_task_once(8);
  check(refused && ok, "no more threads to be had");
#endif
}

void nested() {
  set_threads(4);
  std::vector<int> sums(12);
  parallel_for(12, [&](int i) { parallel_for(5, [&](int j) { sums[i] += j; }); });
  bool ok = true;
  for (const int sum : sums) ok = ok && sum == 10;
  check(ok, "a job inside a job");
}

/** A thread's scratch is its own, keeps its values while another slot grows, and is aligned. */
void scratch() {
  set_threads(4);
  std::atomic<int> wrong{0};
  parallel_for(40, [&](int i) {
    float* mine = thread_scratch(0, 100 + i);
    for (int k = 0; k < 100 + i; ++k) mine[k] = static_cast<float>(i);
    float* other = thread_scratch(1, 1000 * (i % 3 + 1));
    other[0] = -1.0f;
    for (int k = 0; k < 100 + i; ++k) wrong += mine[k] != static_cast<float>(i);
    wrong += reinterpret_cast<std::uintptr_t>(mine) % 64 != 0;
  });
  check(wrong == 0, "scratch");
}

}  // namespace

void pool_tests() {
  for (int threads = 1; threads <= kMostThreads; ++threads) jobs(threads);
  pauses();
  callers();
  nested();
  endings();
  no_threads();
  scratch();
  set_threads(0);
}

}  // namespace mlx_gemma::kernels::test
