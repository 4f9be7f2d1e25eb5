// How fast this machine's memory can be read: threads sum their shares of a buffer far larger than any cache.
//
//   read_bandwidth THREADS [MEBIBYTES] → one line: the best of some passes, bytes per second
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  const size_t mebibytes = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 768;
  const size_t share = mebibytes * 1024 * 1024 / sizeof(uint64_t) / static_cast<size_t>(threads);
  std::vector<std::vector<uint64_t>> shares(static_cast<size_t>(threads));
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  const auto on_all = [&](auto&& work) {
    std::vector<std::thread> pool;
    for (size_t t = 0; t < shares.size(); t++) pool.emplace_back([&work, t] { work(t); });
    for (auto& thread : pool) thread.join();
  };
  on_all([&](size_t t) { shares[t].assign(share, t + 1); });
  double best = 0;
  for (int pass = 0; pass < 8; pass++) {
    const auto start = std::chrono::steady_clock::now();
    on_all([&](size_t t) {
      const uint64_t* data = shares[t].data();
      uint64_t sum = 0;
      for (size_t i = 0; i < share; i++) sum += data[i];
      sums[t] += sum;
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(share * sizeof(uint64_t) * shares.size()) / seconds.count());
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  if (total == 0) return 1;  // The sums are used, so the reads can't be left out.
  std::printf("%.0f\n", best);
}
