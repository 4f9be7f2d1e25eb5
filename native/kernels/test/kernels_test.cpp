// Runs all kernel tests, or those of the groups that are named, on every instruction set of this processor.
// Prints "N passed, N failed"; exit code 1 on failure.
//
//   kernels_test [accuracy|products|law|blocks|quantized|experts|sampling|pool …]
//   kernels_test --plant <defect>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "check.h"
#include "kernels/isa.h"

namespace mlx_gemma::kernels::test {
namespace {

int passed = 0, failed = 0;
std::string context;
std::map<std::string, double> shares;  // by kernel, the largest

void report_shares() {
  for (const auto& [kernel, share] : shares) {
    std::printf("  %s: worst error %.0f%% of its bound\n", kernel.c_str(), 100 * share);
  }
  shares.clear();
}

}  // namespace

void check(bool ok, const std::string& what) {
  ++(ok ? passed : failed);
  if (!ok && failed <= 40) std::printf("FAILED %s: %s\n", context.c_str(), what.c_str());
}

void set_context(const std::string& where) { context = where; }

std::mt19937& generator() {
  static std::mt19937 one(20260728);
  return one;
}

int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator()); }

mx::array normal(mx::Shape shape, mx::Dtype dtype, double size) {
  std::normal_distribution<float> draw(0.0f, 1.0f);
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  std::vector<float> values(count);
  for (float& value : values) value = draw(generator()) * static_cast<float>(size);
  return from_values(values, std::move(shape), dtype);
}

mx::array from_values(const std::vector<float>& values, mx::Shape shape, mx::Dtype dtype) {
  mx::array out = mx::astype(mx::array(values.begin(), std::move(shape), mx::float32), dtype);
  out.eval();
  return out;
}

std::vector<double> numbers(const mx::array& a) {
  mx::array flat = mx::contiguous(mx::astype(a, mx::float32));
  flat.eval();
  return {flat.data<float>(), flat.data<float>() + flat.size()};
}

std::string bits(const mx::array& a) {
  mx::array flat = mx::contiguous(a);
  flat.eval();
  return {flat.data<char>(), flat.nbytes()};
}

mx::array rows_of(const mx::array& a, int axis, int begin, int end) {
  mx::Shape start(a.ndim(), 0), stop = a.shape();
  start[axis] = begin;
  stop[axis] = end;
  return mx::slice(a, start, stop);
}

mx::array rotated(const mx::array& x, const mx::array& inverse_frequencies, int position) {
  return rope(x, rope_table(inverse_frequencies, position, x.shape(2), x.dtype()));
}

mx::array restrided(const mx::array& a) {
  std::vector<int> axes;
  for (int axis = static_cast<int>(a.ndim()) - 2; axis >= 0; --axis) axes.push_back(axis);
  axes.push_back(static_cast<int>(a.ndim()) - 1);
  mx::array turned = mx::contiguous(mx::transpose(a, axes));
  turned.eval();
  mx::array out = mx::transpose(turned, axes);
  out.eval();
  return out;
}

double half_spacing(mx::Dtype dtype) {
  return dtype == mx::bfloat16 ? 0x1p-8 : dtype == mx::float16 ? 0x1p-11 : 0x1p-24;
}

double smallest_step(mx::Dtype dtype) {
  return dtype == mx::bfloat16 ? 0x1p-133 : dtype == mx::float16 ? 0x1p-24 : 0x1p-149;
}

bool flushes(mx::Dtype dtype) { return dtype == mx::bfloat16 && std::string(name()) == "amx"; }

bool close(double got, double want, double bound, mx::Dtype dtype) {
  if (std::isnan(want)) return std::isnan(got);
  const double largest = dtype == mx::bfloat16 ? 3.3895e38 : dtype == mx::float16 ? 65504.0 : 3.4028e38;
  if (std::isinf(got)) return std::signbit(got) == std::signbit(want) && std::abs(want) + bound >= largest;
  return std::abs(got - want) <=
         bound + 1.001 * half_spacing(dtype) * (std::abs(want) + bound) + smallest_step(dtype);
}

bool within(const std::string& kernel, double got, double want, double bound, mx::Dtype dtype) {
  if (dtype == mx::float32 && std::isfinite(want) && std::isfinite(got) && want != got) {
    const double allowed = bound + half_spacing(dtype) * (std::abs(want) + bound) + smallest_step(dtype);
    double& worst = shares[kernel];
    worst = std::max(worst, std::abs(got - want) / allowed);
  }
  return close(got, want, bound, dtype);
}

const char* text(Size size) {
  const char* names[] = {"ordinary", "large", "tiny", "subnormal", "mixed"};
  return names[static_cast<int>(size)];
}

Size some_size() { return kSizes[uniform(0, static_cast<int>(kSizes.size()) - 1)]; }

mx::array sized(Size size, mx::Shape shape, mx::Dtype dtype) {
  const bool half = dtype == mx::float16;
  switch (size) {
    case Size::ordinary:
      return normal(std::move(shape), dtype);
    case Size::large:
      return normal(std::move(shape), dtype, half ? 100 : 1e15);
    case Size::tiny:
      return normal(std::move(shape), dtype, half ? 1e-3 : 1e-20);
    case Size::subnormal:
      return normal(std::move(shape), dtype, half ? 1e-6 : 1e-40);
    case Size::mixed:
      break;
  }
  const mx::array exponents = mx::multiply(normal(shape, mx::float32), mx::array(half ? 2.0f : 8.0f));
  mx::array out = mx::astype(mx::multiply(normal(shape, mx::float32), mx::exp(exponents)), dtype);
  out.eval();
  return out;
}

std::string text(mx::Dtype dtype) {
  return dtype == mx::bfloat16 ? "bf16" : dtype == mx::float16 ? "f16" : "f32";
}

}  // namespace mlx_gemma::kernels::test

int main(int argc, char** argv) {
  using namespace mlx_gemma::kernels;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "--plant") return test::plant(words[1]) ? 0 : 2;
  const std::vector<std::pair<std::string, void (*)()>> groups{{"accuracy", test::accuracy_tests},
                                                               {"products", test::products_tests},
                                                               {"law", test::law_tests},
                                                               {"blocks", test::blocks_tests},
                                                               {"quantized", test::quantized_tests},
                                                               {"experts", test::experts_tests},
                                                               {"sampling", test::sampling_tests},
                                                               {"key groups", test::key_groups_tests},
                                                               {"pool", test::pool_tests}};
  // MLX_GEMMA_ISA forces one, as in the product: then the others are not tried.
  const char* forced = std::getenv("MLX_GEMMA_ISA");
  name();  // throws where this processor can't run it
  for (const char* isa : {"scalar", "neon", "avx2", "avx512", "amx"}) {
    const bool wanted = forced == nullptr || *forced == '\0' || std::string(forced) == isa;
    if (!wanted || !use_isa(isa) || std::string(name()) != isa) continue;
    std::printf("%s\n", isa);
    test::set_context(isa);
    for (const auto& [group, tests] : groups) {
      if (words.empty() || std::find(words.begin(), words.end(), group) != words.end()) tests();
    }
    test::report_shares();
  }
  std::printf("%d passed, %d failed\n", test::passed, test::failed);
  return test::failed == 0 && test::passed > 0 ? 0 : 1;
}
