#include "amx.h"

#if defined(__x86_64__) && defined(__linux__) && defined(MLX_GEMMA_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mlx_gemma::kernels::amx {
namespace {

bool processor_has_it() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kAvx512Bw = 1u << 30, kAvx512Vl = 1u << 31;
  return (d & kBf16) && (d & kTile) && (b & kAvx512Bw) && (b & kAvx512Vl);
}

/** Linux keeps the tiles of a process only if it asked for them, once for all its threads. */
bool system_grants_it() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool available() {
  static const bool so = processor_has_it() && system_grants_it();
  return so;
}

}  // namespace mlx_gemma::kernels::amx
#else
bool mlx_gemma::kernels::amx::available() { return false; }
#endif
