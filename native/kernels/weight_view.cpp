#include "weight_view.h"

#include <algorithm>
#include <cstring>

#include "thread_pool.h"

namespace mlx_gemma::kernels {

int wide_rows(int depth) { return std::clamp((1 << 20) / std::max(depth, 1), 32, 512); }

std::vector<array> with_parts(std::vector<array> inputs, const QuantizedWeight& w) {
  inputs.push_back(w.weight);
  inputs.push_back(w.scales);
  if (w.biases) inputs.push_back(*w.biases);
  return inputs;
}

WeightView::WeightView(const std::vector<array>& weights, const std::optional<PackedAs>& packed,
                       Element element)
    : functions_(&row_functions()),
      element_(static_cast<int>(element)),
      size_(element_size(static_cast<int>(element))),
      packed_(packed.has_value()) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].ndim() == 3)
      steps_[i] = weights[i].strides(0) * static_cast<std::int64_t>(weights[i].itemsize());
  }
  const array& first = weights[0];
  outputs_ = first.shape(-2);
  if (first.ndim() == 3) count_ = first.shape(0);
  if (!packed) {
    inputs_ = first.shape(-1);
    floats_ = bytes_of(first);
    floats_stride_ = first.strides(-2);
  } else {
    inputs_ = static_cast<int>(std::int64_t{32} * first.shape(-1) / packed->bits);
    rows_ = PackedRows{.codes = first.data<std::uint8_t>(),
                       .codes_stride = first.strides(-2) * 4,
                       .scales = bytes_of(weights[1]),
                       .scales_stride = weights[1].strides(-2),
                       .biases = nullptr,
                       .biases_stride = 0,
                       .scales_type = 0,
                       .group_size = packed->group_size,
                       .bits = packed->bits,
                       .mode = packed->mode};
    if (weights.size() > 2) {
      rows_.biases = bytes_of(weights[2]);
      rows_.biases_stride = weights[2].strides(-2);
      rows_.scales_type = static_cast<int>(element_of(weights[1], "quantized weight"));
      summed_group_ = packed->group_size;
    }
    functions_ = &packed_functions(element, rows_);
  }
  padded_ = packed ? packed_row_floats(inputs_, functions_->pair)
                   : (inputs_ + functions_->pair - 1) / functions_->pair * functions_->pair;
}

void WeightView::widen(const char* x, float* out) const {
  if (packed_) return functions_->prepare_packed[element_](x, inputs_, summed_group_, out);
  functions_->prepare[element_](x, inputs_, out);
}

void WeightView::copy_row(std::int64_t o, char* out) const {
  if (packed_) return functions_->dequantize[element_](rows_, inputs_, o, out);
  std::memcpy(out, floats_ + o * floats_stride_ * size_, inputs_ * size_);
}

void WeightView::multiply(int which, const float* x, int rows, int begin, int end, char* out,
                          std::int64_t out_stride) const {
  if (packed_) {
    PackedJob job{.x = x,
                  .padded = padded_,
                  .weight = rows_,
                  .depth = inputs_,
                  .rows = rows,
                  .out = out,
                  .out_stride = out_stride,
                  .scratch = thread_scratch(1, packed_scratch(rows, padded_))};
    const std::int64_t scale_size = rows_.biases == nullptr                               ? 1
                                    : rows_.scales_type == static_cast<int>(Element::f32) ? 4
                                                                                          : 2;
    const auto moved = [&](const void* from, int array, std::int64_t row_bytes) -> const void* {
      return from == nullptr ? nullptr
                             : static_cast<const char*>(from) + which * steps_[array] + begin * row_bytes;
    };
    job.weight.codes = static_cast<const std::uint8_t*>(moved(rows_.codes, 0, rows_.codes_stride));
    job.weight.scales = moved(rows_.scales, 1, rows_.scales_stride * scale_size);
    job.weight.biases = moved(rows_.biases, 2, rows_.biases_stride * scale_size);
    return functions_->linear_packed[element_](job, 0, end - begin);
  }
  LinearJob job{.x = x,
                .padded = padded_,
                .weight = floats_ + which * steps_[0] + begin * floats_stride_ * size_,
                .weight_stride = floats_stride_,
                .depth = inputs_,
                .rows = rows,
                .out = out,
                .out_stride = out_stride,
                .scratch = nullptr};
  const bool narrow = rows <= kNarrowRows;
  job.scratch = thread_scratch(1, narrow ? narrow_scratch(padded_) : linear_scratch(rows));
  const auto& forms = narrow ? functions_->linear_narrow : functions_->linear_wide;
  forms[element_](job, 0, end - begin);
}

}  // namespace mlx_gemma::kernels
