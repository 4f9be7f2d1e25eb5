#include "block.h"
#include "inputs.h"

namespace mlx_gemma::kernels {
namespace {

/** Makes views of weights, and keeps the arrays; not `whole` once one can't be read as it is. */
class Preparation {
 public:
  explicit Preparation(mx::Dtype dtype)
      : dtype_(dtype), element_(element_of(array(0.0f, dtype), "decoder_layer")) {}

  const char* vector(const array& a) {
    whole_ = whole_ && a.is_available() && a.flags().row_contiguous && a.dtype() == dtype_;
    arrays_.push_back(a);
    return whole_ ? bytes_of(a) : nullptr;
  }

  WeightView matrix(const Matrix& matrix) {
    const std::vector<array> parts = parts_of(matrix);
    whole_ = whole_ && packed_or(dtype_, matrix);
    for (const array& part : parts) {
      whole_ = whole_ && part.is_available() && has_dense_rows(part);
      arrays_.push_back(part);
    }
    return whole_ ? WeightView(parts, packing_of(matrix), element_) : WeightView();
  }

  bool whole() const { return whole_; }
  std::vector<array> arrays() { return std::move(arrays_); }

 private:
  mx::Dtype dtype_;
  Element element_;
  bool whole_ = true;
  std::vector<array> arrays_;
};

PreparedAttention prepare(const AttentionLayer& layer, Preparation& weights) {
  PreparedAttention made{.heads = layer.heads,
                         .width = layer.width(),
                         .eps = layer.eps,
                         .scale = layer.scale,
                         .input_norm = weights.vector(layer.input_layernorm),
                         .q_norm = weights.vector(layer.q_norm),
                         .post_norm = weights.vector(layer.post_attention_layernorm),
                         .q_proj = weights.matrix(layer.q_proj),
                         .o_proj = weights.matrix(layer.o_proj),
                         .kv = std::nullopt};
  if (const auto& kv = layer.kv) {
    made.kv = PreparedAttention::KeysValues{
        weights.matrix(kv->k_proj), kv->v_proj ? std::optional(weights.matrix(*kv->v_proj)) : std::nullopt,
        weights.vector(kv->k_norm)};
  }
  return made;
}

PreparedFeedForward prepare(const FeedForwardLayer& layer, Preparation& weights) {
  PreparedFeedForward made{.eps = layer.eps,
                           .pre_norm = weights.vector(layer.pre_feedforward_layernorm),
                           .post_norm = weights.vector(layer.post_feedforward_layernorm),
                           .layer_scalar = weights.vector(layer.layer_scalar),
                           .gate_proj = weights.matrix(layer.gate_proj),
                           .up_proj = weights.matrix(layer.up_proj),
                           .down_proj = weights.matrix(layer.down_proj),
                           .per_layer_input = std::nullopt};
  if (const auto& own = layer.per_layer_input) {
    made.per_layer_input = PreparedFeedForward::PerLayerInput{
        weights.matrix(own->gate), weights.matrix(own->projection), weights.vector(own->norm)};
  }
  return made;
}

}  // namespace

std::shared_ptr<const PreparedLayer> prepared(const AttentionLayer& attention,
                                              const FeedForwardLayer& feed_forward) {
  if (!own_kernels()) return nullptr;
  Preparation weights(attention.input_layernorm.dtype());
  PreparedLayer made{.dtype = attention.input_layernorm.dtype(),
                     .attention = prepare(attention, weights),
                     .feed_forward = std::nullopt,
                     .arrays = {}};
  if (!feed_forward.experts) made.feed_forward = prepare(feed_forward, weights);
  if (!weights.whole()) return nullptr;
  made.arrays = weights.arrays();
  return std::make_shared<const PreparedLayer>(std::move(made));
}

}  // namespace mlx_gemma::kernels
