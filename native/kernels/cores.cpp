#include "cores.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace mlx_gemma::kernels {
namespace {

#if defined(__linux__)

/** Distinct sets of sibling threads among the processors of our affinity mask; 0 if that can't be read. */
int cores_of_affinity() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = "alone " + std::to_string(cpu);
    cores.insert(siblings);
  }
  return static_cast<int>(cores.size());
}

/** Our group in the hierarchy of a controller ("": the unified one), or "". */
std::string cgroup_path(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names == "," + controller + "," || names.find("," + controller + ",") != std::string::npos) {
      return line.substr(second + 1);
    }
  }
  return "";
}

/** Quota over period of one folder, rounded to whole cores; 0 where there is no limit. */
int quota_of(const std::string& folder) {
  double quota = -1, period = 0;
  if (std::ifstream both(folder + "/cpu.max"); both) {
    std::string first;
    both >> first >> period;
    if (!first.empty() && first != "max") quota = std::strtod(first.c_str(), nullptr);
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>(quota / period + 0.5));
}

/** The smallest quota from our group up to the root of its hierarchy. */
int smallest_quota(const std::string& root, std::string path) {
  int smallest = 0;
  for (;;) {
    const int here = quota_of(root + path);
    if (here > 0 && (smallest == 0 || here < smallest)) smallest = here;
    if (path.empty() || path == "/") return smallest;
    path.erase(path.find_last_of('/'));
  }
}

int cores_of_quota() {
  const int unified = smallest_quota("/sys/fs/cgroup", cgroup_path(""));
  return unified > 0 ? unified : smallest_quota("/sys/fs/cgroup/cpu", cgroup_path("cpu"));
}

#elif defined(__APPLE__)

int cores_of_affinity() {
  int count = 0;
  std::size_t size = sizeof count;
  // The fast cores: a kernel waits for its slowest part.
  if (sysctlbyname("hw.perflevel0.physicalcpu", &count, &size, nullptr, 0) == 0 && count > 0) return count;
  size = sizeof count;
  return sysctlbyname("hw.physicalcpu", &count, &size, nullptr, 0) == 0 ? count : 0;
}
int cores_of_quota() { return 0; }

#else

int cores_of_affinity() { return 0; }
int cores_of_quota() { return 0; }

#endif

}  // namespace

int usable_cores() {
  int cores = cores_of_affinity();
  if (cores <= 0) cores = static_cast<int>(std::thread::hardware_concurrency());
  const int quota = cores_of_quota();
  if (quota > 0) cores = std::min(cores, quota);
  return std::max(1, cores);
}

}  // namespace mlx_gemma::kernels
