// The first half of a decoder layer in one task: see blocks.h and composed.cpp, whose bits these are.
#include <algorithm>

#include "block.h"

namespace mlx_gemma::kernels {
namespace {

/** A step's rows of one layer, in plain numbers. */
struct Job {
  int element;
  RowView h;  // (T, H)
  int hidden, rows, heads, kv_heads, width;
  const char *input_norm, *q_norm, *post_norm;
  WeightView q_proj, o_proj;
  const char* table;
  float eps, scale;
  // Producers only.
  bool writes;
  WeightView k_proj;
  std::optional<WeightView> v_proj;  // absent with attention_k_eq_v
  const char* k_norm;
  char *new_keys, *new_values;  // where the step's first row of head 0 goes
  std::int64_t cache_head;      // bytes from head to head there
  // What is read.
  const char *keys, *values;
  std::int64_t key_head, key_row, value_head, value_row;  // elements
  int key_rows;
  std::optional<AttentionMask> mask;
  char* out;

  std::size_t row_bytes(int elements) const {
    return static_cast<std::size_t>(elements) * element_size(element);
  }
};

void write_cache(const Job& job, char* raw_keys, const char* raw_values) {
  const std::int64_t row = static_cast<std::int64_t>(job.row_bytes(job.width));
  for (int h = 0; h < job.kv_heads; ++h) {
    for (int t = 0; t < job.rows; ++t) {
      const char* raw = raw_values + (static_cast<std::int64_t>(t) * job.kv_heads + h) * row;
      direct::rms_norm(job.element, RowView(raw, 1, row), nullptr, job.width, job.eps,
                       job.new_values + h * job.cache_head + t * row);
    }
  }
  const RowView all(raw_keys, static_cast<std::int64_t>(job.rows) * job.kv_heads, row);
  direct::rms_norm(job.element, all, job.k_norm, job.width, job.eps, raw_keys);
  direct::rope(job.element, {.x = RowView::by_heads(raw_keys, job.kv_heads, job.rows, row),
                             .heads = job.kv_heads,
                             .rows = job.rows,
                             .half = job.width / 2,
                             .table = job.table,
                             .out = job.new_keys,
                             .head_step = job.cache_head,
                             .row_step = row});
}

void run(const Job& job) {
  const std::size_t rows = job.rows;
  const std::size_t x_bytes = rows * job.row_bytes(job.hidden),
                    q_bytes = rows * job.row_bytes(job.heads * job.width),
                    kv_bytes = job.writes ? rows * job.row_bytes(job.kv_heads * job.width) : 0;
  Scratch scratch(Scratch::rounded(x_bytes) + 2 * (Scratch::rounded(q_bytes) + Scratch::rounded(kv_bytes)));
  char* x = scratch.take(x_bytes);
  char* q = scratch.take(q_bytes);
  char* mixed = scratch.take(q_bytes);
  char* raw_keys = scratch.take(kv_bytes);
  char* raw_values = scratch.take(kv_bytes);
  const std::int64_t row = static_cast<std::int64_t>(job.row_bytes(job.width));

  direct::rms_norm(job.element, job.h, job.input_norm, job.hidden, job.eps, x);
  direct::LinearPart parts[3] = {{job.q_proj, q}, {job.k_proj, raw_keys}, {job.k_proj, raw_keys}};
  if (job.v_proj) parts[2] = {*job.v_proj, raw_values};
  const int count = !job.writes ? 1 : job.v_proj ? 3 : 2;
  direct::linear(RowView(x, job.rows, static_cast<std::int64_t>(job.row_bytes(job.hidden))), parts, count);
  if (job.writes) write_cache(job, raw_keys, job.v_proj ? raw_values : raw_keys);

  const RowView heads(q, static_cast<std::int64_t>(job.rows) * job.heads, row);
  direct::rms_norm(job.element, heads, job.q_norm, job.width, job.eps, q);
  direct::rope(job.element, {.x = RowView::by_heads(q, job.heads, job.rows, row),
                             .heads = job.heads,
                             .rows = job.rows,
                             .half = job.width / 2,
                             .table = job.table,
                             .out = q,
                             .head_step = row,
                             .row_step = job.heads * row});
  direct::attention({.element = job.element,
                     .q = RowView::by_heads(q, job.heads, job.rows, row),
                     .keys = job.keys,
                     .values = job.values,
                     .key_head = job.key_head,
                     .key_row = job.key_row,
                     .value_head = job.value_head,
                     .value_row = job.value_row,
                     .heads = job.heads,
                     .kv_heads = job.kv_heads,
                     .query_rows = job.rows,
                     .key_rows = job.key_rows,
                     .width = job.width,
                     .scale = job.scale,
                     .masked = job.mask.has_value(),
                     .mask = job.mask.value_or(AttentionMask{}),
                     .out = mixed});
  const direct::LinearPart output(job.o_proj, x);  // (T, H)
  direct::linear(RowView(mixed, job.rows, job.heads * row), &output, 1);
  const std::int64_t hidden_row = static_cast<std::int64_t>(job.row_bytes(job.hidden));
  direct::rms_norm(job.element, RowView(x, job.rows, hidden_row), job.post_norm, job.hidden, job.eps, x);
  for (int t = 0; t < job.rows; ++t) {
    direct::add(job.element, job.h.row(t), x + t * hidden_row, job.hidden, job.out + t * hidden_row);
  }
}

/** Inputs: h, table, then the layer's weights, then keys and values. Outputs: h, and of producers the two
 * buffers. */
class AttentionBlock : public CpuPrimitives {
 public:
  AttentionBlock(mx::Stream stream, const AttentionLayer& layer, Packings packings)
      : CpuPrimitives(stream),
        heads_(layer.heads),
        eps_(layer.eps),
        scale_(layer.scale),
        key_equals_value_(layer.kv && !layer.kv->v_proj),
        packings_(std::move(packings)) {}
  const char* name() const override { return "GemmaAttentionBlock"; }

  /** A producer's: where the step's rows go. */
  void writes(const CacheRows& cache) {
    writes_ = true;
    offset_ = cache.offset;
    window_ = cache.window;
    first_position_ = cache.first_position;
  }
  void reads(std::optional<AttentionMask> mask) { mask_ = mask; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(outputs[0]);
    const Element element = element_of(outputs[0], name());
    Inputs in(inputs, packings_, element, encoder);
    Job job{};
    job.element = static_cast<int>(element);
    const array h = in.next();
    job.h = RowView(h);
    job.hidden = h.shape(2);
    job.rows = h.shape(1);
    job.heads = heads_;
    job.eps = eps_;
    job.scale = scale_;
    job.table = in.vector();
    job.input_norm = in.vector();
    job.q_proj = in.matrix();
    job.q_norm = in.vector();
    job.o_proj = in.matrix();
    job.post_norm = in.vector();
    job.out = bytes_of(outputs[0]);
    if (writes_) {
      job.writes = true;
      job.k_proj = in.matrix();
      if (!key_equals_value_) job.v_proj = in.matrix();
      job.k_norm = in.vector();
      cache(in, encoder, outputs, job);
    } else {
      view(in, job);
    }
    for (array& out : outputs) encoder.set_output_array(out);
    encoder.dispatch([job]() { run(job); });
  }

 private:
  /** Both buffers, written in place. */
  void cache(Inputs& in, mx::cpu::CommandEncoder& encoder, std::vector<array>& outputs, Job& job) const {
    outputs[1].copy_shared_buffer(dense(in.raw(), encoder));
    outputs[2].copy_shared_buffer(dense(in.raw(), encoder));
    const array& keys = outputs[1];
    job.kv_heads = keys.shape(1);
    job.width = keys.shape(3);
    const int begin = window_ > 0 ? std::max(0, offset_ - window_ + 1) : 0;
    const std::int64_t row = static_cast<std::int64_t>(job.row_bytes(job.width));
    job.cache_head = keys.shape(2) * row;
    job.new_keys = bytes_of(outputs[1]) + offset_ * row;
    job.new_values = bytes_of(outputs[2]) + offset_ * row;
    job.keys = bytes_of(outputs[1]) + begin * row;
    job.values = bytes_of(outputs[2]) + begin * row;
    job.key_head = job.value_head = static_cast<std::int64_t>(keys.shape(2)) * job.width;
    job.key_row = job.value_row = job.width;
    job.key_rows = offset_ + job.rows - begin;
    job.mask = AttentionMask{first_position_ + offset_, window_, first_position_ + begin};
  }

  void view(Inputs& in, Job& job) const {
    const array keys = in.next(), values = in.next();
    job.kv_heads = keys.shape(1);
    job.width = keys.shape(3);
    job.keys = bytes_of(keys);
    job.values = bytes_of(values);
    job.key_head = keys.strides(1);
    job.key_row = keys.strides(2);
    job.value_head = values.strides(1);
    job.value_row = values.strides(2);
    job.key_rows = keys.shape(2);
    job.mask = mask_;
  }

  int heads_;
  float eps_, scale_;
  bool key_equals_value_;
  Packings packings_;
  bool writes_ = false;
  int offset_ = 0, window_ = 0, first_position_ = 0;
  std::optional<AttentionMask> mask_;
};

std::vector<array> common_inputs(const array& h, const AttentionLayer& layer, const array& rope_table,
                                 Packings& packings) {
  std::vector<array> inputs{h, rope_table, layer.input_layernorm};
  append(layer.q_proj, inputs, packings);
  inputs.push_back(layer.q_norm);
  append(layer.o_proj, inputs, packings);
  inputs.push_back(layer.post_attention_layernorm);
  return inputs;
}

void check(const array& h, const AttentionLayer& layer, const array& rope_table, const array& keys,
           const array& values) {
  constexpr const char* kName = "attention_block";
  element_of(h, kName);
  require(h.ndim() == 3 && h.shape(0) == 1 && keys.ndim() == 4 && keys.shape() == values.shape(), kName,
          "expected h (1, T, H), keys and values (1, kv_heads, S, d)");
  const int width = keys.shape(3), hidden = h.shape(2);
  require(outputs(layer.q_proj) == layer.heads * width && outputs(layer.o_proj) == hidden &&
              keys.shape(1) > 0 && layer.heads % keys.shape(1) == 0 && width > 0 && width <= kDepth &&
              width % 2 == 0,
          kName, "heads, head size and projections do not belong together");
  check_matrix(layer.q_proj, hidden, kName);
  check_matrix(layer.o_proj, layer.heads * width, kName);
  if (layer.kv) {
    const int size = keys.shape(1) * width;
    const Matrix& v_proj = layer.kv->v_proj ? *layer.kv->v_proj : layer.kv->k_proj;
    check_matrix(layer.kv->k_proj, hidden, kName);
    check_matrix(v_proj, hidden, kName);
    require(outputs(layer.kv->k_proj) == size && outputs(v_proj) == size, kName,
            "keys, values and their projections do not belong together");
  }
  require(rope_table.shape() == mx::Shape{2, h.shape(1), width / 2} && rope_table.dtype() == h.dtype(), kName,
          "expected a rope table (2, T, d / 2) in the dtype of h");
}

}  // namespace

std::optional<Part> attention_part(const array& h, const AttentionLayer& layer, const array& rope_table,
                                   const KeyRows& seen) {
  check(h, layer, rope_table, seen.keys, seen.values);
  const bool same = seen.keys.dtype() == h.dtype() && seen.values.dtype() == h.dtype();
  if (!same || !fits_primitive(h, {&layer.q_proj, &layer.o_proj})) return std::nullopt;
  Packings packings;
  std::vector<array> inputs = common_inputs(h, layer, rope_table, packings);
  inputs.push_back(seen.keys);
  inputs.push_back(seen.values);
  auto block = std::make_shared<AttentionBlock>(current_stream(), layer, std::move(packings));
  block->reads(seen.mask);
  return Part{std::move(block), std::move(inputs)};
}

std::optional<Part> attention_part(const array& h, const AttentionLayer& layer, const array& rope_table,
                                   const CacheRows& cache) {
  check(h, layer, rope_table, cache.keys, cache.values);
  require(layer.kv.has_value(), "attention_block", "the layer has no keys and values of its own");
  require(cache.offset >= 0 && h.shape(1) <= cache.keys.shape(2) - cache.offset, "attention_block",
          "rows outside of the buffer");
  const Matrix* v_proj = layer.kv->v_proj ? &*layer.kv->v_proj : &layer.kv->k_proj;
  if (!fits_primitive(h, {&layer.q_proj, &layer.o_proj, &layer.kv->k_proj, v_proj})) return std::nullopt;
  Packings packings;
  std::vector<array> inputs = common_inputs(h, layer, rope_table, packings);
  append(layer.kv->k_proj, inputs, packings);
  if (layer.kv->v_proj) append(*layer.kv->v_proj, inputs, packings);
  for (const array& a : {layer.kv->k_norm, cache.keys, cache.values}) inputs.push_back(a);
  auto block = std::make_shared<AttentionBlock>(current_stream(), layer, std::move(packings));
  block->writes(cache);
  return Part{std::move(block), std::move(inputs)};
}

array node(Part part, const array& h) {
  return array(h.shape(), h.dtype(), std::move(part.primitive), std::move(part.inputs));
}

AttentionOutput node(Part part, const array& h, const CacheRows& cache) {
  const auto made = array::make_arrays({h.shape(), cache.keys.shape(), cache.values.shape()},
                                       {h.dtype(), cache.keys.dtype(), cache.values.dtype()}, part.primitive,
                                       std::move(part.inputs));
  return {made[0], made[1], made[2]};
}

array attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                      const KeyRows& seen) {
  std::optional<Part> part = attention_part(h, layer, rope_table, seen);
  return part ? node(*std::move(part), h) : composed::attention_block(h, layer, rope_table, seen);
}

AttentionOutput attention_block(const array& h, const AttentionLayer& layer, const array& rope_table,
                                const CacheRows& cache) {
  std::optional<Part> part = attention_part(h, layer, rope_table, cache);
  return part ? node(*std::move(part), h, cache) : composed::attention_block(h, layer, rope_table, cache);
}

}  // namespace mlx_gemma::kernels
