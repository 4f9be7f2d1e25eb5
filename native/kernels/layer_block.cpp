// A decoder layer as one node: its two halves' primitives, one after the other. What lies between them never
// was in the graph: building and walking a node takes longer than a small layer's work.
#include "block.h"

namespace mlx_gemma::kernels {
namespace {

/** Inputs: those of the attention, and of the rest without its h. Outputs: those of the attention. */
class LayerBlock : public CpuPrimitives {
 public:
  LayerBlock(mx::Stream stream, const Part& attention, const Part& rest)
      : CpuPrimitives(stream),
        attention_(attention.primitive),
        rest_(rest.primitive),
        attention_inputs_(attention.inputs.size()) {}
  const char* name() const override { return "GemmaLayerBlock"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    const auto border = inputs.begin() + static_cast<std::ptrdiff_t>(attention_inputs_);
    const array attended(outputs[0].shape(), outputs[0].dtype(), nullptr, {});
    std::vector<array> first{attended};
    first.insert(first.end(), outputs.begin() + 1, outputs.end());
    attention_->eval_cpu({inputs.begin(), border}, first);
    mx::cpu::get_command_encoder(stream()).add_temporary(attended);
    std::vector<array> others{attended}, last{outputs[0]};
    others.insert(others.end(), border, inputs.end());
    rest_->eval_cpu(others, last);
  }

 private:
  std::shared_ptr<mx::Primitive> attention_, rest_;
  std::size_t attention_inputs_;
};

Part joined(Part attention, const Part& rest) {
  auto block = std::make_shared<LayerBlock>(current_stream(), attention, rest);
  attention.inputs.insert(attention.inputs.end(), rest.inputs.begin() + 1, rest.inputs.end());
  return {std::move(block), std::move(attention.inputs)};
}

}  // namespace

array decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table, const KeyRows& seen,
                    const std::optional<PerLayerRows>& per_layer) {
  std::optional<Part> attention = attention_part(h, layer.attention, rope_table, seen);
  const std::optional<Part> rest = feed_forward_part(h, layer.feed_forward, per_layer);
  if (attention && rest) return node(joined(*std::move(attention), *rest), h);
  const array attended = attention ? node(*std::move(attention), h)
                                   : composed::attention_block(h, layer.attention, rope_table, seen);
  return feed_forward_block(attended, layer.feed_forward, per_layer);
}

AttentionOutput decoder_layer(const array& h, const DecoderLayer& layer, const array& rope_table,
                              const CacheRows& cache, const std::optional<PerLayerRows>& per_layer) {
  std::optional<Part> attention = attention_part(h, layer.attention, rope_table, cache);
  const std::optional<Part> rest = feed_forward_part(h, layer.feed_forward, per_layer);
  if (attention && rest) return node(joined(*std::move(attention), *rest), h, cache);
  AttentionOutput output = attention ? node(*std::move(attention), h, cache)
                                     : composed::attention_block(h, layer.attention, rope_table, cache);
  output.h = feed_forward_block(output.h, layer.feed_forward, per_layer);
  return output;
}

}  // namespace mlx_gemma::kernels
