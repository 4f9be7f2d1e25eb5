#include "inputs.h"
#include "mlx/ops.h"
#include "thread_pool.h"

namespace mlx_gemma::kernels {
namespace {

/** Inputs: rows, and maybe what stands for each place of theirs. */
class Argmax : public CpuPrimitive {
 public:
  explicit Argmax(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "GemmaArgmax"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    allocate(out);
    auto& encoder = mx::cpu::get_command_encoder(stream());
    const Element element = element_of(inputs[0], name());
    const Packings none;
    Inputs in(inputs, none, element, encoder);
    const array x = in.next();
    const std::int32_t* tokens = nullptr;
    if (inputs.size() > 1) tokens = in.dense().data<std::int32_t>();
    encoder.set_output_array(out);
    encoder.dispatch([element = static_cast<int>(element), view = RowView(x), width = x.shape(-1), tokens,
                      to = out.data<std::int32_t>()]() {
      const auto kernel = row_functions().argmax[element];
      parallel_rows(view.rows, static_cast<double>(view.rows) * width / 4, [&](std::int64_t r) {
        const int place = kernel(view.row(r), width);
        to[r] = tokens == nullptr ? place : tokens[r * width + place];
      });
    });
  }
};

}  // namespace

array argmax(const array& x) {
  element_of(x, "argmax");
  require(x.ndim() >= 1 && x.shape(-1) > 0, "argmax", "expected rows of one element or more");
  if (!own_kernels()) return mx::astype(mx::argmax(x, -1), mx::int32);
  const mx::Shape shape(x.shape().begin(), x.shape().end() - 1);
  return array(shape, mx::int32, std::make_shared<Argmax>(current_stream()), {x});
}

array largest_token(const array& scores, const array& tokens) {
  element_of(scores, "largest_token");
  require(scores.ndim() == 2 && scores.shape(0) == 1 && scores.shape(1) > 0 &&
              tokens.shape() == scores.shape() && tokens.dtype() == mx::int32,
          "largest_token", "expected scores (1, C) and int32 tokens (1, C)");
  if (!own_kernels()) return mx::take_along_axis(tokens, mx::argmax(scores, -1, true), 1);
  return array({1, 1}, mx::int32, std::make_shared<Argmax>(current_stream()), {scores, tokens});
}

}  // namespace mlx_gemma::kernels
