#include "isa.h"

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "amx.h"
#include "kernels.h"
#include "mlx/backend/metal/metal.h"
#include "mlx/device.h"

namespace mlx_gemma::kernels {
namespace {

/** The name of what runs where none of ours does. */
constexpr const char* kMlx = "mlx";

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
}
/** Null where the processor, the system or the compiler has no AMX. */
const RowFunctions* amx_if_available() {
#if defined(MLX_GEMMA_AMX)
  if (has_avx512() && amx::available()) return &amx_functions();
#endif
  return nullptr;
}
#endif

const RowFunctions& best() {
#if defined(__x86_64__)
  if (const RowFunctions* amx = amx_if_available()) return *amx;
  if (has_avx512()) return avx512_functions;
  if (has_avx2()) return avx2_functions;
#endif
  return portable_functions;
}

/** The functions of that name if this processor can run them, else null. */
const RowFunctions* find(std::string_view wanted) {
#if defined(__x86_64__)
  if (wanted == "amx") return amx_if_available();
  if (wanted == "avx512" && has_avx512()) return &avx512_functions;
  if (wanted == "avx2" && has_avx2()) return &avx2_functions;
#endif
  // On arm64 "scalar" means the same plain loops as "neon".
  if (wanted == portable_functions.name || wanted == "scalar") return &portable_functions;
  return nullptr;
}

/** A variable of the environment; empty where it is not set. */
std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

const RowFunctions* wanted_functions(std::string_view wanted) {
  if (wanted.empty() || wanted == kMlx) return &best();
  const RowFunctions* found = find(wanted);
  if (found == nullptr) {
    throw std::invalid_argument("MLX_GEMMA_ISA=" + std::string(wanted) +
                                ": this processor has no such instruction set; the best it has is " +
                                best().name);
  }
  return found;
}

/**
 * 8 is what CUDA computes in about the time of one. Metal has kernels for one row of packed weights that
 * eight rows would cost several of: there it is left to who asks.
 */
int wanted_step_rows(std::string_view wanted) {
  constexpr int kDefault = 8, kMost = 16;
  if (wanted.empty()) return mlx::core::metal::is_available() ? 0 : kDefault;
  int rows = -1;
  const char* end = wanted.data() + wanted.size();
  const auto [rest, error] = std::from_chars(wanted.data(), end, rows);
  if (error != std::errc() || rest != end || rows < 0 || rows > kMost) {
    throw std::invalid_argument("MLX_GEMMA_STEP_ROWS=" + std::string(wanted) + ": expected 0 to " +
                                std::to_string(kMost));
  }
  return rows;
}

/** What the environment asks for: read all at once, when any of it is first needed. */
struct Choice {
  bool mlx = variable("MLX_GEMMA_ISA") == kMlx;
  /** Changed by tests alone. */
  std::atomic<const RowFunctions*> functions{wanted_functions(variable("MLX_GEMMA_ISA"))};
  int step_rows = wanted_step_rows(variable("MLX_GEMMA_STEP_ROWS"));
};

Choice& choice() {
  static Choice one;
  return one;
}

}  // namespace

const RowFunctions& row_functions() { return *choice().functions.load(std::memory_order_relaxed); }

const RowFunctions& packed_functions(Element element, const PackedRows& weight) {
  const RowFunctions& functions = row_functions();
  const auto takes = functions.takes_packed[static_cast<int>(element)];
#if defined(__x86_64__)
  if (takes != nullptr && !takes(weight)) return avx512_functions;
#endif
  return functions;
}

bool use_isa(const char* name) {
  const RowFunctions* found = find(name);
  if (found != nullptr) choice().functions.store(found, std::memory_order_relaxed);
  return found != nullptr;
}

bool own_kernels() { return !choice().mlx && mlx::core::default_device() == mlx::core::Device::cpu; }

int step_rows() { return own_kernels() ? 0 : choice().step_rows; }

const char* name() { return own_kernels() ? row_functions().name : kMlx; }

}  // namespace mlx_gemma::kernels
