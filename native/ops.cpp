#include "ops.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "array.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "mlx/ops.h"
#include "mlx/random.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

/** One call's arguments, by place. Each reader throws std::invalid_argument for a value of another type. */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  const mx::array& array(size_t i) const { return UnwrapArray(info_[i]); }

  std::optional<mx::array> optional_array(size_t i) const {
    if (info_[i].IsNull()) return std::nullopt;
    return array(i);
  }

  std::vector<mx::array> arrays(size_t i) const {
    if (!info_[i].IsArray()) throw std::invalid_argument("expected a list of arrays");
    const auto list = info_[i].As<Napi::Array>();
    std::vector<mx::array> result;
    for (uint32_t j = 0; j < list.Length(); ++j) result.push_back(UnwrapArray(list.Get(j)));
    return result;
  }

  double number(size_t i) const {
    if (!info_[i].IsNumber()) throw std::invalid_argument("expected a number");
    return info_[i].As<Napi::Number>().DoubleValue();
  }

  int integer(size_t i) const {
    const double value = number(i);
    const int result = info_[i].As<Napi::Number>().Int32Value();
    if (value != result) throw std::invalid_argument("expected an integer");
    return result;
  }

  bool flag(size_t i) const {
    if (!info_[i].IsBoolean()) throw std::invalid_argument("expected true or false");
    return info_[i].As<Napi::Boolean>();
  }

  mx::Shape shape(size_t i) const { return ParseShape(info_[i]); }

  std::vector<int> axes(size_t i) const {
    const mx::Shape shape = ParseShape(info_[i]);
    return {shape.begin(), shape.end()};
  }

  /** A packed weight: six arguments from `i`, as NativeOps has them. */
  kernels::QuantizedWeight packed(size_t i) const {
    const auto mode = kernels::quantization_mode(text(i + 5));
    if (!mode) throw std::invalid_argument("expected the mode affine, mxfp4, mxfp8 or nvfp4");
    return {.weight = array(i),
            .scales = array(i + 1),
            .biases = optional_array(i + 2),
            .group_size = integer(i + 3),
            .bits = integer(i + 4),
            .mode = *mode};
  }

  std::string text(size_t i) const {
    if (!info_[i].IsString()) throw std::invalid_argument("expected a string");
    return info_[i].As<Napi::String>();
  }

  mx::Dtype dtype(size_t i) const { return ParseDtype(info_[i]); }

  /** A random key: two uint32. */
  mx::array key(size_t i) const {
    if (!info_[i].IsArray()) throw std::invalid_argument("expected a key of two numbers");
    const auto list = info_[i].As<Napi::Array>();
    const auto word = [&](uint32_t j) { return Napi::Value(list.Get(j)).ToNumber().Uint32Value(); };
    const uint32_t words[] = {word(0), word(1)};
    return mx::array(words, {2}, mx::uint32);
  }

 private:
  const Napi::CallbackInfo& info_;
};

/** One JavaScript function for each operation (a stateless lambda), without a lookup at call time. */
template <auto operation>
Napi::Value Call(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return WrapArray(info.Env(), operation(Arguments(info))); });
}

template <auto operation>
void Define(Napi::Object ops, const char* name) {
  ops.Set(name, Napi::Function::New<Call<operation>>(ops.Env(), name));
}

void DefineElementwise(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::add(a.array(0), a.array(1)); }>(ops, "add");
  Define<[](const Arguments& a) { return mx::subtract(a.array(0), a.array(1)); }>(ops, "subtract");
  Define<[](const Arguments& a) { return mx::multiply(a.array(0), a.array(1)); }>(ops, "multiply");
  Define<[](const Arguments& a) { return mx::divide(a.array(0), a.array(1)); }>(ops, "divide");
  Define<[](const Arguments& a) { return mx::maximum(a.array(0), a.array(1)); }>(ops, "maximum");
  Define<[](const Arguments& a) { return mx::minimum(a.array(0), a.array(1)); }>(ops, "minimum");
  Define<[](const Arguments& a) { return mx::less(a.array(0), a.array(1)); }>(ops, "less");
  Define<[](const Arguments& a) { return mx::greater_equal(a.array(0), a.array(1)); }>(ops, "greaterEqual");
  Define<[](const Arguments& a) { return mx::equal(a.array(0), a.array(1)); }>(ops, "equal");
  Define<[](const Arguments& a) { return mx::where(a.array(0), a.array(1), a.array(2)); }>(ops, "where");
  Define<[](const Arguments& a) { return mx::exp(a.array(0)); }>(ops, "exp");
  Define<[](const Arguments& a) { return mx::log(a.array(0)); }>(ops, "log");
  Define<[](const Arguments& a) { return mx::tanh(a.array(0)); }>(ops, "tanh");
  Define<[](const Arguments& a) { return mx::astype(a.array(0), a.dtype(1)); }>(ops, "astype");
}

void DefineMakers(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::array(a.number(0), a.dtype(1)); }>(ops, "scalar");
  Define<[](const Arguments& a) { return mx::zeros(a.shape(0), a.dtype(1)); }>(ops, "zeros");
  Define<[](const Arguments& a) { return mx::arange(a.number(0), a.number(1), a.dtype(2)); }>(ops, "arange");
  Define<[](const Arguments& a) { return mx::random::uniform(a.shape(0), mx::float32, a.key(1)); }>(
      ops, "randomUniform");
  Define<[](const Arguments& a) {
    return mx::astype(mx::random::categorical(a.array(0), -1, a.key(1)), mx::int32);
  }>(ops, "randomCategorical");
}

void DefineShapes(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::reshape(a.array(0), a.shape(1)); }>(ops, "reshape");
  Define<[](const Arguments& a) { return mx::transpose(a.array(0), a.axes(1)); }>(ops, "transpose");
  Define<[](const Arguments& a) { return mx::slice(a.array(0), a.shape(1), a.shape(2)); }>(ops, "slice");
  Define<[](const Arguments& a) { return mx::concatenate(a.arrays(0), a.integer(1)); }>(ops, "concatenate");
  Define<[](const Arguments& a) { return mx::take(a.array(0), a.array(1), a.integer(2)); }>(ops, "take");
  Define<[](const Arguments& a) { return mx::take_along_axis(a.array(0), a.array(1), a.integer(2)); }>(
      ops, "takeAlongAxis");
  Define<[](const Arguments& a) {
    return mx::put_along_axis(a.array(0), a.array(1), a.array(2), a.integer(3));
  }>(ops, "putAlongAxis");
}

void DefineReductions(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::sum(a.array(0), a.integer(1), a.flag(2)); }>(ops, "sum");
  Define<[](const Arguments& a) { return mx::max(a.array(0), a.integer(1), a.flag(2)); }>(ops, "max");
  Define<[](const Arguments& a) { return mx::min(a.array(0), a.integer(1), a.flag(2)); }>(ops, "min");
  Define<[](const Arguments& a) { return mx::cumsum(a.array(0), a.integer(1)); }>(ops, "cumsum");
  Define<[](const Arguments& a) { return mx::softmax(a.array(0), a.integer(1), true); }>(ops, "softmax");
  Define<[](const Arguments& a) { return mx::sort(a.array(0), a.integer(1)); }>(ops, "sort");
  Define<[](const Arguments& a) { return mx::argsort(a.array(0), a.integer(1)); }>(ops, "argsort");
  Define<[](const Arguments& a) { return mx::astype(mx::argmax(a.array(0), a.integer(1)), mx::int32); }>(
      ops, "argmax");
  Define<[](const Arguments& a) { return mx::argpartition(a.array(0), a.integer(1), a.integer(2)); }>(
      ops, "argpartition");
}

/** The values of a packed weight: arguments as NativeOps has them. */
mx::array Dequantize(const Arguments& a) {
  const kernels::QuantizedWeight packed = a.packed(0);
  packed.check(static_cast<int>(packed.weight.ndim()));
  return mx::dequantize(packed.weight, packed.scales, packed.biases, packed.group_size, packed.bits,
                        a.text(5), std::nullopt, a.dtype(6));
}

void DefineQuantized(Napi::Object ops) {
  Define<[](const Arguments& a) { return kernels::quantized_linear(a.array(0), a.packed(1)); }>(
      ops, "quantizedLinear");
  Define<[](const Arguments& a) { return Dequantize(a); }>(ops, "dequantize");
}

void DefineKernels(Napi::Object ops) {
  Define<[](const Arguments& a) { return kernels::linear(a.array(0), a.array(1)); }>(ops, "linear");
  Define<[](const Arguments& a) {
    return kernels::rms_norm(a.array(0), a.optional_array(1), static_cast<float>(a.number(2)));
  }>(ops, "rmsNorm");
  Define<[](const Arguments& a) { return kernels::rope(a.array(0), a.array(1), a.integer(2), a.flag(3)); }>(
      ops, "rope");
  Define<[](const Arguments& a) {
    return kernels::attention(a.array(0), a.array(1), a.array(2), static_cast<float>(a.number(3)));
  }>(ops, "attention");
  Define<[](const Arguments& a) { return kernels::gelu_multiply(a.array(0), a.array(1)); }>(ops,
                                                                                            "geluMultiply");
}

/** `weight` packed by MLX: [weight, scales], in affine mode [weight, scales, biases]. */
Napi::Value Quantize(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] {
    const Arguments a(info);
    const std::vector<mx::array> parts = mx::quantize(a.array(0), a.integer(1), a.integer(2), a.text(3));
    Napi::Array result = Napi::Array::New(info.Env(), parts.size());
    for (uint32_t i = 0; i < parts.size(); ++i) result.Set(i, WrapArray(info.Env(), parts[i]));
    return result;
  });
}

}  // namespace

void RegisterOps(Napi::Env env, Napi::Object exports) {
  Napi::Object ops = Napi::Object::New(env);
  DefineElementwise(ops);
  DefineMakers(ops);
  DefineShapes(ops);
  DefineReductions(ops);
  DefineKernels(ops);
  DefineQuantized(ops);
  ops.Set("quantize", Napi::Function::New<Quantize>(env, "quantize"));
  exports.Set("ops", ops);
}

}  // namespace mlx_gemma
