// What the tests of the law share: rows alone and in blocks, and packed weights.
#include "check.h"

namespace mlx_gemma::kernels::test {

std::string row_bits(const std::string& all, int row, int rows) {
  const std::size_t size = all.size() / rows;
  return all.substr(row * size, size);
}

int some_rows() {
  const int kind = uniform(0, 3);
  return kind == 0 ? uniform(100, 140) : kind == 1 ? uniform(17, 40) : uniform(2, 16);
}

bool block_holds(const std::function<mx::array(const mx::array&)>& f, const mx::array& x) {
  const int rows = x.shape(0), inputs = x.shape(1);
  set_threads(1);
  std::vector<std::string> alone;
  for (int r = 0; r < rows; ++r) alone.push_back(bits(f(rows_of(x, 0, r, r + 1))));
  bool same = true;
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    set_threads(threads);
    const int begin = uniform(0, rows - 1), end = uniform(begin + 1, rows);
    const std::string block = bits(f(x)), part = bits(f(rows_of(x, 0, begin, end)));
    // A view with rows apart: every second row of a larger array.
    const mx::array apart = mx::slice(mx::repeat(x, 2, 0), {0, 0}, {2 * rows, inputs}, {2, 1});
    const std::string strided = bits(f(apart));
    const std::string folded = bits(f(mx::expand_dims(x, {0, 2})));
    for (int r = 0; r < rows; ++r) {
      same = same && row_bits(block, r, rows) == alone[r] && row_bits(strided, r, rows) == alone[r];
      same = same && row_bits(folded, r, rows) == alone[r];
      if (r >= begin && r < end) same = same && row_bits(part, r - begin, end - begin) == alone[r];
    }
  }
  return same;
}

const std::vector<Packing>& packings() {
  static const std::vector<Packing> all = [] {
    std::vector<Packing> list;
    for (const int bits : {2, 3, 4, 5, 6, 8})
      for (const int group_size : {32, 64, 128}) list.push_back({QuantizationMode::affine, bits, group_size});
    list.push_back({QuantizationMode::mxfp4, 4, 32});
    list.push_back({QuantizationMode::mxfp8, 8, 32});
    list.push_back({QuantizationMode::nvfp4, 4, 16});
    return list;
  }();
  return all;
}

std::string text(const Packing& p) {
  const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  return std::string(names[static_cast<int>(p.mode)]) + " " + std::to_string(p.bits) + " bit group " +
         std::to_string(p.group_size);
}

namespace {

mx::array random_bytes(mx::Shape shape, const std::function<int()>& draw) {
  std::size_t count = 1;
  for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(draw());
  mx::array out(bytes.begin(), std::move(shape), mx::uint8);
  out.eval();
  return out;
}

/** Any byte that is no NaN of 8 bit floats. */
int finite_byte() {
  const int byte = uniform(0, 255);
  return (byte & 127) == 127 ? byte - 1 : byte;
}

}  // namespace

mx::array doubled(const mx::array& a, bool negated) {
  mx::array out = mx::contiguous(mx::concatenate({a, negated ? mx::negative(a) : a}, -1));
  out.eval();
  return out;
}

QuantizedWeight packed_normal(const Packing& p, mx::Shape shape, mx::Dtype dtype, bool paired) {
  if (paired) shape.back() /= 2;
  mx::Shape of_codes = shape, of_scales = shape;
  of_codes.back() = shape.back() * p.bits / 8;
  of_scales.back() = shape.back() / p.group_size;
  const mx::array bytes = random_bytes(
      of_codes,
      p.mode == QuantizationMode::mxfp8 ? std::function<int()>(finite_byte) : [] { return uniform(0, 255); });
  mx::array codes = mx::view(bytes, mx::uint32);
  codes.eval();
  std::optional<mx::array> biases;
  mx::array scales(0.0f);
  if (p.mode == QuantizationMode::affine) {
    scales = normal(of_scales, dtype, 0.1);
    biases = normal(of_scales, dtype);
  } else {
    // Powers of two near 1, or small 8 bit floats of both signs.
    scales = random_bytes(of_scales, [&] {
      return p.mode == QuantizationMode::nvfp4 ? uniform(1, 80) + 128 * uniform(0, 1) : uniform(120, 130);
    });
  }
  if (paired) {
    // The other sign: of scale and bias; of the scale's sign bit; of every code's sign bit.
    if (biases) {
      scales = doubled(scales, true);
      biases = doubled(*biases, true);
      codes = doubled(codes, false);
    } else {
      scales = doubled(scales, false);
      const std::uint32_t signs = p.bits == 4 ? 0x88888888u : 0x80808080u;
      codes =
          mx::contiguous(mx::concatenate({codes, mx::bitwise_xor(codes, mx::array(signs, mx::uint32))}, -1));
      codes.eval();
    }
  }
  return {codes, scales, biases, p.group_size, p.bits, p.mode};
}

mx::array dequantized(const QuantizedWeight& w) {
  const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  std::optional<mx::array> biases;
  if (w.biases) biases = mx::astype(*w.biases, mx::float32);
  const mx::array scales = w.biases ? mx::astype(w.scales, mx::float32) : w.scales;
  mx::array out = mx::dequantize(w.weight, scales, biases, w.group_size, w.bits,
                                 names[static_cast<int>(w.mode)], std::nullopt, mx::float32);
  out.eval();
  return out;
}

QuantizedWeight matrix_of(const QuantizedWeight& stack, int index) {
  const auto one = [&](const mx::array& a) { return mx::squeeze(rows_of(a, 0, index, index + 1), 0); };
  std::optional<mx::array> biases;
  if (stack.biases) biases = one(*stack.biases);
  return {one(stack.weight), one(stack.scales), biases, stack.group_size, stack.bits, stack.mode};
}

}  // namespace mlx_gemma::kernels::test
