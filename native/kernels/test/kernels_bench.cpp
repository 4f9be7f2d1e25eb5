// Milliseconds of the kernels beside MLX's own operations; "ours" leaves those out. Minima over repeats, for
// machines with company.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/mlx_operations.h"
#include "kernels/thread_pool.h"

namespace mx = mlx::core;
namespace k = mlx_gemma::kernels;

namespace mlx_gemma::kernels::bench {

double best_ms(const std::function<mx::array()>& call, int chain, double budget_ms) {
  double best = 1e30;
  const auto start = Clock::now();
  for (int i = 0; i < 200; ++i) {
    std::vector<mx::array> out;
    const auto t0 = Clock::now();
    for (int c = 0; c < chain; ++c) out.push_back(call());
    mx::eval(out);
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - t0).count() / chain;
    best = std::min(best, ms);
    if (std::chrono::duration<double, std::milli>(Clock::now() - start).count() > budget_ms) break;
  }
  return best;
}

mx::array random(mx::Shape shape, mx::Dtype dtype) {
  mx::array a = mx::astype(mx::random::normal(shape), dtype);
  mx::eval(a);
  return a;
}

}  // namespace mlx_gemma::kernels::bench

namespace {

using k::bench::best_ms;
using k::bench::Clock;
using k::bench::random;

void bench_linear(int outputs, int inputs, mx::Dtype dtype, const char* label, bool beside) {
  const mx::array weight = random({outputs, inputs}, dtype);
  for (int rows : {1, 2, 4, 8, 16, 512}) {
    const mx::array x = random({1, rows, inputs}, dtype);
    const double ours = best_ms([&] { return k::linear(x, weight); });
    const double theirs = beside ? best_ms([&] { return k::operations::linear(x, weight); }, 1, 200) : 0;
    const double flops = 2.0 * rows * outputs * inputs, bytes = double(weight.nbytes());
    std::printf("linear %-4s %6d x %-6d rows %4d: %9.4f ms (%6.1f GB/s, %6.1f GFLOPS)  MLX %9.4f ms\n", label,
                outputs, inputs, rows, ours, bytes / ours / 1e6, flops / ours / 1e6, theirs);
  }
}

struct Packed {
  const char* mode;
  int bits, group_size;
};

std::string label(const std::optional<Packed>& p) {
  return p ? std::string(p->mode) + " " + std::to_string(p->bits) : "bf16";
}

k::QuantizedWeight quantized(const mx::array& weight, const Packed& p) {
  const auto parts = mx::quantize(weight, p.group_size, p.bits, p.mode);
  mx::eval(parts);
  std::optional<mx::array> biases;
  if (parts.size() > 2) biases = parts[2];
  return {parts[0], parts[1], biases, p.group_size, p.bits, *k::quantization_mode(p.mode)};
}

/** Packed weights times more rows than these take MLX minutes on a CPU. */
constexpr int kMostBeside = 8;

void bench_quantized(int outputs, int inputs, const Packed& p, bool beside) {
  const k::QuantizedWeight weight = quantized(random({outputs, inputs}, mx::bfloat16), p);
  for (int rows : {1, 4, 8, 512}) {
    const mx::array x = random({1, rows, inputs}, mx::bfloat16);
    const double ours = best_ms([&] { return k::quantized_linear(x, weight); });
    const double theirs = beside && rows <= kMostBeside
                              ? best_ms([&] { return k::operations::quantized_linear(x, weight); }, 1, 200)
                              : 0;
    const double flops = 2.0 * rows * outputs * inputs, bytes = double(weight.nbytes());
    std::printf(
        "%-6s %d bit group %3d %6d x %-6d rows %4d: %9.4f ms (%6.1f GB/s, %6.1f GFLOPS)  MLX %9.4f ms\n",
        p.mode, p.bits, p.group_size, outputs, inputs, rows, ours, bytes / ours / 1e6, flops / ours / 1e6,
        theirs);
  }
}

/** The gate projections of a layer with experts: `chosen` of `experts` for each token, at random. */
void bench_experts(int experts, int chosen, int outputs, int inputs, const std::optional<Packed>& p) {
  const mx::array weight = random({experts, outputs, inputs}, mx::bfloat16);
  std::optional<k::QuantizedWeight> packed;
  if (p) packed = quantized(weight, *p);
  for (int tokens : {1, 4, 8, 512}) {
    const mx::array x = random({tokens, 1, inputs}, mx::bfloat16);
    mx::array indices = mx::random::randint(0, experts, {tokens, chosen}, mx::int32);
    mx::eval(indices);
    const double ours = best_ms([&] {
      return packed ? k::experts_linear(x, *packed, indices) : k::experts_linear(x, weight, indices);
    });
    // Of plain weights MLX would have to convert the whole stack to float32 first.
    const double theirs =
        packed && tokens <= kMostBeside
            ? best_ms([&] { return k::operations::experts_linear(x, *packed, indices); }, 1, 200)
            : 0;
    std::printf("experts %-12s %d of %d, %5d x %-5d tokens %4d: %9.4f ms  MLX %9.4f ms\n", label(p).c_str(),
                chosen, experts, outputs, inputs, tokens, ours, theirs);
  }
}

void bench_attention(int heads, int kv_heads, int width, int keys, int window, bool beside) {
  const mx::array all_keys = random({1, kv_heads, keys, width}, mx::bfloat16);
  const mx::array all_values = random({1, kv_heads, keys, width}, mx::bfloat16);
  for (int rows : {1, 4, 16, 512}) {
    if (rows > keys) continue;
    const mx::array q = random({1, heads, rows, width}, mx::bfloat16);
    const k::AttentionMask mask{.query_offset = keys - rows, .window = window};
    const double ours = best_ms([&] { return k::attention(q, all_keys, all_values, 1.0f, mask); });
    const double theirs =
        beside
            ? best_ms([&] { return k::operations::attention(q, all_keys, all_values, 1.0f, mask); }, 1, 200)
            : 0;
    std::printf("attention %2d/%d heads d %3d keys %6d window %4d rows %4d: %9.4f ms  MLX %9.4f ms\n", heads,
                kv_heads, width, keys, window, rows, ours, theirs);
  }
}

/** Microseconds per call of the smallest calls: what a graph node of ours costs beside its work. */
void bench_overhead() {
  const mx::array x = random({1, 1, 256}, mx::bfloat16), w = random({256}, mx::bfloat16);
  const mx::array weight = random({256, 256}, mx::bfloat16);
  const mx::array up = random({1, 1, 1024}, mx::bfloat16);
  const mx::array q = random({1, 4, 1, 64}, mx::bfloat16), kv = random({1, 1, 300, 64}, mx::bfloat16);
  const mx::array frequencies = mx::abs(random({32}, mx::float32));
  const auto line = [](const char* what, const std::function<mx::array()>& ours,
                       const std::function<mx::array()>& theirs) {
    std::printf("small %-28s %7.2f us  MLX %7.2f us\n", what, 1e3 * best_ms(ours, 200),
                1e3 * best_ms(theirs, 200));
  };
  const k::AttentionMask mask{.query_offset = 299};
  line(
      "rms_norm 256", [&] { return k::rms_norm(x, w, 1e-6f); },
      [&] { return mx::fast::rms_norm(x, w, 1e-6f); });
  line(
      "linear 256x256", [&] { return k::linear(x, weight); },
      [&] { return k::operations::linear(x, weight); });
  line(
      "gelu_multiply 1024", [&] { return k::gelu_multiply(up, up); },
      [&] { return k::operations::gelu_multiply(up, up); });
  line(
      "rope 4x64", [&] { return k::rope(q, k::rope_table(frequencies, 299, q.shape(2), q.dtype())); },
      [&] { return mx::fast::rope(q, 64, false, 1e4f, 1.0f, 299); });
  line(
      "attention 4/1 heads, 300 keys", [&] { return k::attention(q, kv, kv, 1.0f, mask); },
      [&] { return k::operations::attention(q, kv, kv, 1.0f, std::nullopt); });
  line(
      "kv_write 64",
      [&] {
        return k::kv_write(kv, mx::slice(q, {0, 0, 0, 0}, {1, 1, 1, 64}), 299);
      },
      [&] {
        return mx::slice_update(kv, mx::slice(q, {0, 0, 0, 0}, {1, 1, 1, 64}), mx::Shape{0, 0, 299, 0},
                                mx::Shape{1, 1, 300, 64});
      });
  line(
      "add 256 (a node of MLX's own)", [&] { return mx::add(x, x); }, [&] { return mx::add(x, x); });
}

/** Matrices that no cache holds, one after the other, as a step reads them: GB of weights a second. */
void bench_stream(int outputs, int inputs, const std::optional<Packed>& p) {
  const int count = static_cast<int>((200 << 20) / (static_cast<double>(outputs) * inputs * 2)) + 1;
  std::vector<std::function<mx::array(const mx::array&)>> calls;
  double bytes = 0;
  for (int i = 0; i < count; ++i) {
    const mx::array weight = random({outputs, inputs}, mx::bfloat16);
    if (!p) {
      bytes += double(weight.nbytes());
      calls.push_back([=](const mx::array& x) { return k::linear(x, weight); });
    } else {
      const k::QuantizedWeight packed = quantized(weight, *p);
      bytes += double(packed.nbytes());
      calls.push_back([=](const mx::array& x) { return k::quantized_linear(x, packed); });
    }
  }
  for (int rows : {1, 2, 4, 8}) {
    const mx::array x = random({rows, inputs}, mx::bfloat16);
    std::size_t next = 0;
    const double ms = best_ms([&] { return calls[next++ % calls.size()](x); }, count, 300);
    std::printf("stream %-9s %5d x %-5d rows %d: %8.4f ms %6.1f GB/s\n", label(p).c_str(), outputs, inputs,
                rows, ms, bytes / count / ms / 1e6);
  }
}

/** The arithmetic alone: packed rows that the inner caches hold, on this thread. */
void bench_rows(int outputs, int inputs) {
  const Packed p{"affine", 4, 64};
  const k::QuantizedWeight packed = quantized(random({outputs, inputs}, mx::bfloat16), p);
  const k::RowFunctions& functions = k::row_functions();
  const std::ptrdiff_t padded = k::packed_row_floats(inputs, functions.pair), groups = inputs / p.group_size;
  const k::PackedRows rows_of_weight{.codes = packed.weight.data<std::uint8_t>(),
                                     .codes_stride = inputs / 2,
                                     .scales = packed.scales.data<mx::bfloat16_t>(),
                                     .scales_stride = groups,
                                     .biases = packed.biases->data<mx::bfloat16_t>(),
                                     .biases_stride = groups,
                                     .scales_type = static_cast<int>(k::Element::bf16),
                                     .group_size = p.group_size,
                                     .bits = p.bits,
                                     .mode = k::QuantizationMode::affine};
  for (const int rows : {1, 2, 4, 8, 16, 64}) {
    const mx::array x = random({rows, inputs}, mx::bfloat16);
    // As a step has them: no vector of x straddles two lines.
    float* wide = k::thread_scratch(0, static_cast<std::size_t>(rows) * padded);
    float* scratch = k::thread_scratch(1, k::packed_scratch(rows, padded));
    for (int r = 0; r < rows; ++r) {
      functions.prepare_packed[0](x.data<mx::bfloat16_t>() + r * inputs, inputs, p.group_size,
                                  wide + r * padded);
    }
    std::vector<std::uint16_t> out(static_cast<std::size_t>(rows) * outputs);
    const k::PackedJob job{wide, padded, rows_of_weight, inputs, rows, out.data(), outputs, scratch};
    double best = 1e30;
    for (int i = 0; i < 2000; ++i) {
      const auto start = Clock::now();
      functions.linear_packed[0](job, 0, outputs);
      best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    }
    std::printf("rows affine 4 %4d x %-5d rows %2d: %6.3f ns for 16 weights\n", outputs, inputs, rows,
                best / (outputs * inputs / 16.0));
  }
}

/** Where a second thread begins to pay: one row times growing matrices. */
void bench_threshold() {
  for (int outputs : {64, 128, 256, 512, 1024, 2048}) {
    const mx::array x = random({1, 256}, mx::bfloat16), weight = random({outputs, 256}, mx::bfloat16);
    k::set_threads(1);
    const double one = best_ms([&] { return k::linear(x, weight); }, 100);
    k::set_threads(0);
    std::printf("threshold %5d x 256: 1 thread %7.2f us, %d threads %7.2f us\n", outputs, 1e3 * one,
                k::threads(), 1e3 * best_ms([&] { return k::linear(x, weight); }, 100));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "all";
  std::printf("%s, %d threads\n", k::name(), k::threads());
  if (what == "all" || what == "small") bench_overhead();
  if (what == "all" || what == "threshold") bench_threshold();
  if (what == "all" || what == "stream") {
    for (const std::optional<Packed>& p :
         {std::optional<Packed>(), std::optional<Packed>({"affine", 4, 64})}) {
      bench_stream(3072, 768, p);
      bench_stream(768, 3072, p);
      bench_stream(4096, 4096, p);
    }
  }
  if (what == "all" || what == "rows") {
    bench_rows(240, 768);
    bench_rows(96, 3072);
  }
  if (what == "all" || what == "context") k::bench::context();
  if (what == "ours") {
    bench_linear(4096, 4096, mx::bfloat16, "bf16", false);
    bench_linear(3072, 768, mx::bfloat16, "bf16", false);
    bench_attention(8, 1, 256, 1024, 512, false);
    bench_attention(8, 1, 512, 8192, 0, false);
    bench_attention(8, 2, 256, 32768, 0, false);
  }
  if (what == "all" || what == "linear") {
    bench_linear(4096, 4096, mx::bfloat16, "bf16", true);
    bench_linear(4096, 4096, mx::float16, "f16", false);
    bench_linear(4096, 4096, mx::float32, "f32", true);
    bench_linear(3072, 768, mx::bfloat16, "bf16", true);
    bench_linear(32768, 768, mx::bfloat16, "bf16", false);
  }
  if (what == "all" || what == "quantized") {
    bench_quantized(4096, 4096, {"affine", 4, 64}, true);
    bench_quantized(4096, 4096, {"affine", 8, 64}, true);
    bench_quantized(3072, 768, {"affine", 4, 64}, true);
    for (const Packed& p : {Packed{"affine", 3, 64}, Packed{"affine", 6, 64}, Packed{"mxfp4", 4, 32},
                            Packed{"mxfp8", 8, 32}, Packed{"nvfp4", 4, 16}}) {
      bench_quantized(4096, 4096, p, false);
    }
  }
  if (what == "all" || what == "experts") {
    bench_experts(32, 8, 704, 2816, std::nullopt);
    bench_experts(32, 8, 704, 2816, Packed{"affine", 4, 64});
  }
  if (what == "all" || what == "attention") {
    bench_attention(8, 1, 256, 1024, 512, true);
    bench_attention(8, 1, 512, 8192, 0, true);
    bench_attention(8, 2, 256, 32768, 0, true);
  }
}
