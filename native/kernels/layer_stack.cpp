// Several decoder layers that only read keys and values as one node and one task: see layer_block.cpp.
#include "block.h"
#include "inputs.h"

namespace mlx_gemma::kernels {
namespace {

using Prepared = std::shared_ptr<const PreparedLayer>;

/** Inputs: h, then of each kind of layer the rope table, keys and values. */
class LayerStack : public CpuPrimitive {
 public:
  LayerStack(mx::Stream stream, std::vector<Prepared> layers, std::vector<int> which,
             std::vector<std::optional<AttentionMask>> masks)
      : CpuPrimitive(stream),
        layers_(std::move(layers)),
        which_(std::move(which)),
        masks_(std::move(masks)) {}
  const char* name() const override { return "GemmaLayerStack"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(out);
    const Element element = element_of(out, name());
    const Packings none;
    Inputs in(inputs, none, element, encoder);
    const StepRows first = step_rows(in.next(), out);
    std::vector<Reads> reads;
    for (const auto& mask : masks_) {
      const char* table = in.vector();
      const array keys = in.next(), values = in.next();
      reads.push_back({table, viewed(keys, values, mask)});
    }
    encoder.set_output_array(out);
    encoder.dispatch([layers = layers_, which = which_, reads, first]() {
      StepRows step = first;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        const auto& [table, keys] = reads[which[i]];
        layer_block(*layers[i], step, table, keys, RowView());
        step.h = step.output();
      }
    });
  }

 private:
  struct Reads {
    const char* table;
    StepKeys keys;
  };

  std::vector<Prepared> layers_;
  std::vector<int> which_;
  std::vector<std::optional<AttentionMask>> masks_;
};

}  // namespace

array decoder_layers(const array& h, const std::vector<DecoderLayer>& layers, const std::vector<int>& which,
                     const std::vector<LayerReads>& reads) {
  require(!layers.empty() && which.size() == layers.size(), "decoder_layers",
          "expected layers, and what each reads");
  std::vector<Prepared> prepared;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    require(which[i] >= 0 && which[i] < static_cast<int>(reads.size()), "decoder_layers",
            "a layer reads what is not there");
    const auto& [table, seen] = reads[which[i]];
    check_step(h, layers[i], table, seen.keys, seen.values, std::nullopt);
    const bool one_node = runs_prepared(h, layers[i], seen.keys, seen.values);
    if (one_node && layers[i].prepared()->feed_forward) prepared.push_back(layers[i].prepared());
  }
  if (prepared.size() < layers.size()) {
    array x = h;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto& [table, seen] = reads[which[i]];
      x = decoder_layer(x, layers[i], table, seen, std::nullopt);
    }
    return x;
  }
  std::vector<array> inputs{h};
  std::vector<std::optional<AttentionMask>> masks;
  for (const auto& [table, seen] : reads) {
    inputs.insert(inputs.end(), {table, seen.keys, seen.values});
    masks.push_back(seen.mask);
  }
  return array(h.shape(), h.dtype(),
               std::make_shared<LayerStack>(current_stream(), std::move(prepared), which, std::move(masks)),
               std::move(inputs));
}

}  // namespace mlx_gemma::kernels
