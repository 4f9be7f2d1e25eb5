#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "cores.h"
#include "kernels.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

namespace mlx_gemma::kernels {
namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Polls before a worker sleeps: 10 to 30 µs, by the processor; more than lies between two kernels of a
 * forward pass. */
constexpr int kPolls = 400;

/**
 * A job is published in one word: its number, how many tasks it has, how many are taken. Taking a task is one
 * compare-and-swap on that word, so a worker that wakes late cannot touch a job that is over. The caller
 * takes tasks too: a worker that sleeps on costs nothing but its help.
 */
class Pool {
 public:
  void run(int count, void (*task)(void*, int), void* context) {
    std::unique_lock<std::mutex> lock(busy_, std::try_to_lock);
    if (!lock.owns_lock() || size_ == 1) {
      for (int i = 0; i < count; ++i) task(context, i);
      return;
    }
    if (workers_.empty()) start();
    task_ = task;
    context_ = context;
    left_.store(count, std::memory_order_relaxed);
    const std::uint64_t number = (word_.load(std::memory_order_relaxed) >> 48) + 1;
    word_.store(number << 48 | static_cast<std::uint64_t>(count) << 24, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst) > 0) word_.notify_all();
    while (take()) {
    }
    for (int polls = 0; left_.load(std::memory_order_acquire) > 0; ++polls) {
      polls < kPolls ? relax() : std::this_thread::yield();
    }
  }

  void resize(int size) {
    std::lock_guard<std::mutex> lock(busy_);
    stop();
    size_ = size;
  }

  int size() {
    std::lock_guard<std::mutex> lock(busy_);
    return size_;
  }

 private:
  /** Takes one task of the current job and does it; false if there is none. */
  bool take() {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    for (;;) {
      const auto count = static_cast<int>(word >> 24 & 0xffffff);
      const auto next = static_cast<int>(word & 0xffffff);
      if (next >= count) return false;
      if (word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel)) {
        // The job can't end before this task is done: task_ and context_ are its own.
        task_(context_, next);
        left_.fetch_sub(1, std::memory_order_release);
        return true;
      }
    }
  }

  void work() {
    for (;;) {
      if (take()) continue;
      const std::uint64_t seen = word_.load(std::memory_order_acquire);
      // After the word: stop() changes it last, so who has seen that change sees the end, and nobody sleeps
      // on it.
      if (stopping_.load(std::memory_order_acquire)) return;
      int polls = 0;
      while (polls < kPolls && word_.load(std::memory_order_acquire) == seen) {
        relax();
        ++polls;
      }
      if (polls < kPolls) continue;
      asleep_.fetch_add(1, std::memory_order_seq_cst);
      word_.wait(seen, std::memory_order_seq_cst);
      asleep_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  void start() {
    keep_library();
    stopping_ = false;
    try {
      for (int i = 1; i < size_; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      size_ = 1 + static_cast<int>(workers_.size());  // Fewer do it, too; the next resize() tries again.
    }
  }

  void stop() {
    stopping_ = true;
    word_.fetch_add(std::uint64_t{1} << 48);
    word_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
  }

  /** Node unloads an addon when its last environment ends, and the workers' code must not go away under them.
   */
  static void keep_library() {
#if defined(__unix__) || defined(__APPLE__)
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(&keep_library), &info) != 0 && info.dli_fname != nullptr) {
      dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
#endif
  }

  std::mutex busy_;
  std::vector<std::thread> workers_;
  int size_ = usable_cores();
  std::atomic<bool> stopping_{false};
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<std::uint64_t> word_{0};  // number: 16 bits, count: 24, next: 24
  alignas(64) std::atomic<int> left_{0};
  alignas(64) std::atomic<int> asleep_{0};
};

/** Never destroyed: at exit a stream's thread may still be in a kernel, and workers asleep do no harm. */
Pool& pool() {
  static Pool* const one = new Pool;
  return *one;
}

/** The pool's size as a plain number, so that small work asks for no lock. */
std::atomic<int>& size_now() {
  static std::atomic<int> size{pool().size()};
  return size;
}

constexpr std::size_t kAlignment = 64;
struct Free {
  void operator()(float* p) const { ::operator delete(p, std::align_val_t{kAlignment}); }
};
struct Slot {
  std::unique_ptr<float, Free> data;
  std::size_t floats = 0;
};

}  // namespace

void parallel(int count, void (*task)(void*, int), void* context) { pool().run(count, task, context); }

int task_count(double work, int most) {
  const int size = size_now().load(std::memory_order_relaxed);
  // Some 8 µs of one core. Below it waking a second thread, 5 to 10 µs, costs more than it brings
  // (`kernels_bench threshold`).
  constexpr double kWorthIt = 1 << 17;
  if (size == 1 || most <= 1 || work < kWorthIt) return 1;
  // Several tasks a thread even out a neighbour's load on one core; each must still be worth taking.
  const int wanted = static_cast<int>(std::min(work / (kWorthIt / 4), size * 8.0));
  return std::max(1, std::min(wanted, most));
}

float* thread_scratch(int slot, std::size_t floats) {
  thread_local Slot slots[kBlockScratch + 1];
  Slot& s = slots[slot];
  if (s.floats < floats) {
    s.data.reset();
    s.floats = 0;
    s.data.reset(static_cast<float*>(::operator new(floats * sizeof(float), std::align_val_t{kAlignment})));
    s.floats = floats;
  }
  return s.data.get();
}

void set_threads(int n) {
  const int size = n > 0 ? n : usable_cores();
  pool().resize(size);
  size_now().store(size, std::memory_order_relaxed);
}

int threads() { return size_now().load(std::memory_order_relaxed); }

}  // namespace mlx_gemma::kernels
