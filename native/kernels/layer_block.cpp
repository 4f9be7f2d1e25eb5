// A decoder layer as one node and one task: building, walking and starting several takes longer than a small
// layer's work. Its weights are no inputs of the node for the same reason: the task holds them.
#include <algorithm>

#include "block.h"
#include "inputs.h"

namespace mlx_gemma::kernels {
namespace {

constexpr const char* kName = "decoder_layer";

/** Where a producer's rows go in its buffers. */
struct CachePlace {
  int offset, first_position, window;
};

/**
 * Inputs: h, the rope table, keys and values, and of models with per-layer inputs these. Outputs: h, and of
 * producers the two buffers. With experts it is the attention alone.
 */
class LayerBlock : public CpuPrimitives {
 public:
  using Reads = std::variant<std::optional<AttentionMask>, CachePlace>;

  /** `per_layer`: which of the per-layer inputs is this layer's. */
  LayerBlock(mx::Stream stream, std::shared_ptr<const PreparedLayer> layer, Reads reads, int per_layer)
      : CpuPrimitives(stream), layer_(std::move(layer)), reads_(std::move(reads)), per_layer_(per_layer) {}
  const char* name() const override { return "GemmaLayerBlock"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(outputs[0]);
    const Element element = element_of(outputs[0], name());
    const Packings none;
    Inputs in(inputs, none, element, encoder);
    const StepRows step = step_rows(in.next(), outputs[0]);
    const char* table = in.vector();
    const StepKeys keys = outputs.size() > 1 ? written(in, outputs, step) : read(in);
    RowView per_layer{};
    if (inputs.size() > 4) {
      const array all = in.dense();  // (1, T, L * P)
      const auto own =
          static_cast<std::int64_t>(step.row_bytes(layer_->feed_forward->per_layer_input->gate.outputs()));
      per_layer = RowView(bytes_of(all) + per_layer_ * own, step.rows,
                          static_cast<std::int64_t>(step.row_bytes(all.shape(2))));
    }
    for (array& out : outputs) encoder.set_output_array(out);
    encoder.dispatch([layer = layer_, step, table, keys, per_layer]() {
      layer_block(*layer, step, table, keys, per_layer);
    });
  }

 private:
  /** Both buffers, written in place. */
  StepKeys written(Inputs& in, std::vector<array>& outputs, const StepRows& step) const {
    outputs[1].copy_shared_buffer(in.dense());
    outputs[2].copy_shared_buffer(in.dense());
    const auto [offset, first_position, window] = std::get<CachePlace>(reads_);
    const array& keys = outputs[1];
    const int width = keys.shape(3), begin = window > 0 ? std::max(0, offset - window + 1) : 0;
    const auto row = static_cast<std::int64_t>(step.row_bytes(width)),
               head = static_cast<std::int64_t>(keys.shape(2)) * width;
    return {.kv_heads = keys.shape(1),
            .keys = bytes_of(outputs[1]) + begin * row,
            .values = bytes_of(outputs[2]) + begin * row,
            .key_head = head,
            .key_row = width,
            .value_head = head,
            .value_row = width,
            .key_rows = offset + step.rows - begin,
            .mask = AttentionMask{first_position + offset, window, first_position + begin},
            .new_keys = bytes_of(outputs[1]) + offset * row,
            .new_values = bytes_of(outputs[2]) + offset * row,
            .cache_head = keys.shape(2) * row};
  }

  StepKeys read(Inputs& in) const {
    const array keys = in.next(), values = in.next();
    return viewed(keys, values, std::get<std::optional<AttentionMask>>(reads_));
  }

  std::shared_ptr<const PreparedLayer> layer_;
  Reads reads_;
  int per_layer_;
};

void check_vector(const array& a, int size) {
  require(a.ndim() == 1 && a.shape(0) == size, kName, "a norm's weight or the scalar is of another length");
}

void check(const AttentionLayer& layer) {
  check_vector(layer.input_layernorm, inputs_of(layer.q_proj));
  check_vector(layer.q_norm, outputs(layer.q_proj) / std::max(layer.heads, 1));
  const int hidden = layer.input_layernorm.shape(0), width = layer.width(), size = layer.heads * width;
  check_vector(layer.post_attention_layernorm, hidden);
  require(layer.heads > 0 && outputs(layer.q_proj) == size && outputs(layer.o_proj) == hidden && width > 0 &&
              width <= kDepth && width % 2 == 0,
          kName, "heads, head size and projections do not belong together");
  check_matrix(layer.q_proj, hidden, kName);
  check_matrix(layer.o_proj, size, kName);
  if (!layer.kv) return;
  const Matrix& v_proj = layer.kv->v_proj ? *layer.kv->v_proj : layer.kv->k_proj;
  check_matrix(layer.kv->k_proj, hidden, kName);
  check_matrix(v_proj, hidden, kName);
  check_vector(layer.kv->k_norm, width);
  require(outputs(layer.kv->k_proj) == outputs(v_proj) && outputs(v_proj) % width == 0, kName,
          "keys, values and their projections do not belong together");
}

void check(const FeedForwardLayer& layer, int hidden) {
  check_vector(layer.pre_feedforward_layernorm, hidden);
  check_vector(layer.post_feedforward_layernorm, hidden);
  check_vector(layer.layer_scalar, 1);
  require(outputs(layer.gate_proj) == outputs(layer.up_proj) && outputs(layer.down_proj) == hidden, kName,
          "the projections do not belong together");
  check_matrix(layer.gate_proj, hidden, kName);
  check_matrix(layer.up_proj, hidden, kName);
  check_matrix(layer.down_proj, outputs(layer.gate_proj), kName);
  if (!layer.per_layer_input) return;
  const auto& [gate, projection, norm] = *layer.per_layer_input;
  check_vector(norm, hidden);
  check_matrix(gate, hidden, kName);
  check_matrix(projection, outputs(gate), kName);
  require(outputs(projection) == hidden, kName, "the projections do not belong together");
}

std::vector<array> inputs_of_step(const array& h, const DecoderLayer& layer, const array& rope_table,
                                  const array& keys, const array& values,
                                  const std::optional<PerLayerRows>& per_layer) {
  std::vector<array> inputs;
  inputs.reserve(5);
  inputs.assign({h, rope_table, keys, values});
  if (per_layer && layer.prepared()->feed_forward) inputs.push_back(per_layer->all);
  return inputs;
}

std::shared_ptr<mx::Primitive> block(const DecoderLayer& layer, LayerBlock::Reads reads,
                                     const std::optional<PerLayerRows>& per_layer) {
  return std::make_shared<LayerBlock>(current_stream(), layer.prepared(), std::move(reads),
                                      per_layer ? per_layer->layer : 0);
}

}  // namespace

StepRows step_rows(const array& h, array& out) {
  return {.element = static_cast<int>(element_of(out, kName)),
          .h = RowView(h),
          .hidden = h.shape(2),
          .rows = h.shape(1),
          .out = bytes_of(out)};
}

void layer_block(const PreparedLayer& layer, StepRows step, const char* table, const StepKeys& keys,
                 const RowView& per_layer) {
  attention_block(layer.attention, step, table, keys);
  if (!layer.feed_forward) return;
  step.h = step.output();
  feed_forward_block(*layer.feed_forward, step, per_layer);
}

StepKeys viewed(const array& keys, const array& values, const std::optional<AttentionMask>& mask) {
  return {.kv_heads = keys.shape(1),
          .keys = bytes_of(keys),
          .values = bytes_of(values),
          .key_head = keys.strides(1),
          .key_row = keys.strides(2),
          .value_head = values.strides(1),
          .value_row = values.strides(2),
          .key_rows = keys.shape(2),
          .mask = mask,
          .new_keys = nullptr,
          .new_values = nullptr,
          .cache_head = 0};
}

void check_step(const array& h, const DecoderLayer& layer, const array& rope_table, const array& keys,
                const array& values, const std::optional<PerLayerRows>& per_layer) {
  const AttentionLayer& attention = layer.attention();
  const int width = attention.width();
  element_of(h, kName);
  require(h.ndim() == 3 && h.shape(0) == 1 && h.shape(2) == attention.input_layernorm.shape(0) &&
              keys.ndim() == 4 && keys.shape() == values.shape(),
          kName, "expected h (1, T, H), keys and values (1, kv_heads, S, d)");
  require(keys.shape(3) == width && keys.shape(1) > 0 && attention.heads % keys.shape(1) == 0, kName,
          "heads, head size and keys do not belong together");
  require(rope_table.shape() == mx::Shape{2, h.shape(1), width / 2} && rope_table.dtype() == h.dtype(), kName,
          "expected a rope table (2, T, d / 2) in the dtype of h");
  const auto& own = layer.feed_forward().per_layer_input;
  require(own.has_value() == per_layer.has_value(), kName,
          "per-layer weights and a per-layer input go together");
  if (!own) return;
  const array& all = per_layer->all;
  require(all.ndim() == 3 && all.shape(0) == 1 && all.shape(1) == h.shape(1) && all.dtype() == h.dtype() &&
              per_layer->layer >= 0 && all.shape(2) / std::max(outputs(own->gate), 1) > per_layer->layer,
          kName, "expected per-layer inputs (1, T, L * P) in the dtype of h, and a layer of them");
}

/** Rows from which on a layer is its composition: then the nodes cost little, and scratch would be large. */
constexpr int kBlockRows = 64;

bool runs_prepared(const array& h, const DecoderLayer& layer, const array& keys, const array& values) {
  const mx::Dtype dtype = h.dtype();
  return own_kernels() && layer.prepared() && layer.prepared()->dtype == dtype && keys.dtype() == dtype &&
         values.dtype() == dtype && h.shape(1) <= kBlockRows;
}

DecoderLayer::DecoderLayer(AttentionLayer attention, FeedForwardLayer feed_forward)
    : attention_(std::move(attention)), feed_forward_(std::move(feed_forward)) {
  check(attention_);
  check(feed_forward_, attention_.input_layernorm.shape(0));
  prepared_ = kernels::prepared(attention_, feed_forward_);
}

array decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table, const KeyRows& seen,
                    const std::optional<PerLayerRows>& per_layer) {
  check_step(h, layer, rope_table, seen.keys, seen.values, per_layer);
  if (!runs_prepared(h, layer, seen.keys, seen.values)) {
    const array attended = composed::attention_block(h, layer.attention(), rope_table, seen);
    return composed::feed_forward_block(attended, layer.feed_forward(), per_layer);
  }
  const array out(h.shape(), h.dtype(), block(layer, seen.mask, per_layer),
                  inputs_of_step(h, layer, rope_table, seen.keys, seen.values, per_layer));
  return layer.prepared()->feed_forward ? out
                                        : composed::feed_forward_block(out, layer.feed_forward(), per_layer);
}

AttentionOutput decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table,
                              const CacheRows& cache, const std::optional<PerLayerRows>& per_layer) {
  check_step(h, layer, rope_table, cache.keys, cache.values, per_layer);
  require(layer.attention().kv.has_value(), kName, "the layer has no keys and values of its own");
  require(cache.offset >= 0 && h.shape(1) <= cache.keys.shape(2) - cache.offset, kName,
          "rows outside of the buffer");
  if (!runs_prepared(h, layer, cache.keys, cache.values)) {
    AttentionOutput output = composed::attention_block(h, layer.attention(), rope_table, cache);
    output.h = composed::feed_forward_block(output.h, layer.feed_forward(), per_layer);
    return output;
  }
  const CachePlace place{cache.offset, cache.first_position, cache.window};
  auto made = array::make_arrays({h.shape(), cache.keys.shape(), cache.values.shape()},
                                 {h.dtype(), h.dtype(), h.dtype()}, block(layer, place, per_layer),
                                 inputs_of_step(h, layer, rope_table, cache.keys, cache.values, per_layer));
  if (!layer.prepared()->feed_forward) {
    made[0] = composed::feed_forward_block(made[0], layer.feed_forward(), per_layer);
  }
  return {made[0], made[1], made[2]};
}

}  // namespace mlx_gemma::kernels
