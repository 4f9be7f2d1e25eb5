// A block is its composition, bit for bit; so the law holds for it as for the kernels.
#include "kernels/blocks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "kernels/centroid.h"
#include "mlx/primitives.h"

namespace mlx_gemma::kernels::test {
namespace {

struct Sizes {
  int hidden, heads, kv_heads, width, inner, per_layer;
};

/** As a model's weights are: in memory. */
mx::array ready(mx::array a) {
  a.eval();
  return a;
}

/** Plain, or packed in one of several ways where rows are whole groups. */
Matrix weights(int rows, int columns, mx::Dtype dtype, bool packed) {
  const mx::array plain = ready(normal({rows, columns}, dtype, 1.0 / std::sqrt(columns)));
  if (!packed || columns % 32 != 0) return plain;
  const int bits = std::vector<int>{2, 3, 4, 5, 6, 8}[uniform(0, 5)];
  if (bits == 4 && uniform(0, 1) == 0) {
    const auto parts = mx::quantize(plain, 32, 4, "mxfp4");
    return QuantizedWeight{ready(parts[0]), ready(parts[1]), std::nullopt, 32, 4, QuantizationMode::mxfp4};
  }
  const auto parts = mx::quantize(plain, 32, bits, "affine");
  return QuantizedWeight{ready(parts[0]),         ready(parts[1]), ready(parts[2]), 32, bits,
                         QuantizationMode::affine};
}

mx::array norm_weight(int width, mx::Dtype dtype) {
  return ready(mx::add(normal({width}, dtype, 0.3), mx::array(1.0f, dtype)));
}

AttentionLayer attention_layer(const Sizes& s, mx::Dtype dtype, bool producer, bool key_equals_value) {
  const auto packed = [] { return uniform(0, 1) == 0; };
  AttentionLayer layer{.input_layernorm = norm_weight(s.hidden, dtype),
                       .q_proj = weights(s.heads * s.width, s.hidden, dtype, packed()),
                       .q_norm = norm_weight(s.width, dtype),
                       .o_proj = weights(s.hidden, s.heads * s.width, dtype, packed()),
                       .post_attention_layernorm = norm_weight(s.hidden, dtype),
                       .kv = std::nullopt,
                       .heads = s.heads,
                       .eps = 1e-6f,
                       .scale = 1.0f};
  if (producer) {
    layer.kv = AttentionLayer::KeysValues{weights(s.kv_heads * s.width, s.hidden, dtype, packed()),
                                          std::nullopt, norm_weight(s.width, dtype)};
    if (!key_equals_value) layer.kv->v_proj = weights(s.kv_heads * s.width, s.hidden, dtype, packed());
  }
  return layer;
}

FeedForwardLayer feed_forward_layer(const Sizes& s, mx::Dtype dtype) {
  const auto packed = [] { return uniform(0, 1) == 0; };
  FeedForwardLayer layer{.pre_feedforward_layernorm = norm_weight(s.hidden, dtype),
                         .gate_proj = weights(s.inner, s.hidden, dtype, packed()),
                         .up_proj = weights(s.inner, s.hidden, dtype, packed()),
                         .down_proj = weights(s.hidden, s.inner, dtype, packed()),
                         .post_feedforward_layernorm = norm_weight(s.hidden, dtype),
                         .per_layer_input = std::nullopt,
                         .layer_scalar = ready(normal({1}, dtype)),
                         .eps = 1e-6f};
  if (s.per_layer > 0) {
    layer.per_layer_input = FeedForwardLayer::PerLayerInput{weights(s.per_layer, s.hidden, dtype, packed()),
                                                            weights(s.hidden, s.per_layer, dtype, packed()),
                                                            norm_weight(s.hidden, dtype)};
  }
  return layer;
}

mx::array frequencies(int width) {
  std::vector<float> values(width / 2);
  for (int j = 0; j < width / 2; ++j) values[j] = j % 5 == 4 ? 0.0f : std::pow(100.0f, -2.0f * j / width);
  return from_values(values, {width / 2}, mx::float32);
}

/** A copy of its own: a block writes into what it is given. */
mx::array own(const mx::array& a) {
  mx::array copy = mx::copy(a);
  copy.eval();
  return copy;
}

/** Every other row of a larger array, now and then: the input of one of three layers. */
std::optional<PerLayerRows> per_layer_rows(const Sizes& s, int rows, mx::Dtype dtype) {
  if (s.per_layer == 0) return std::nullopt;
  const int step = uniform(1, 2);
  const mx::array all = normal({1, step * rows, 3 * s.per_layer}, dtype);
  return PerLayerRows{mx::slice(all, {0, 0, 0}, all.shape(), {1, step, 1}), uniform(0, 2)};
}

/** True if the layer's rows come from one node, and not from the many of a composition. */
bool is_one_node(const mx::array& h) { return std::string(h.primitive().name()) == "GemmaLayerBlock"; }

/** What becomes of the feed-forward's output where it stands for a mixture of experts. */
mx::array doubled(const mx::array& dense, const mx::array&) { return mx::add(dense, dense); }

DecoderLayer decoder_layer_of(const Sizes& s, mx::Dtype dtype, bool producer, bool experts) {
  FeedForwardLayer rest = feed_forward_layer(s, dtype);
  if (experts) rest.experts = doubled;
  return DecoderLayer(attention_layer(s, dtype, producer, uniform(0, 1) == 0), std::move(rest));
}

void producers(const Sizes& s, mx::Dtype dtype) {
  const int rows = uniform(0, 2) == 0 ? 1 : uniform(2, 16), offset = uniform(0, 300);
  const int window = uniform(0, 1) == 0 ? 0 : uniform(1, 70);
  const bool experts = uniform(0, 3) == 0;
  const DecoderLayer layer = decoder_layer_of(s, dtype, true, experts);
  const Size size = some_size();
  const mx::array h = sized(size, {1, rows, s.hidden}, dtype);
  const auto per_layer = per_layer_rows(s, rows, dtype);
  const int first = uniform(0, 500);
  const mx::array table = rope_table(frequencies(s.width), first + offset, rows, dtype);
  const mx::Shape shape{1, s.kv_heads, offset + rows + uniform(0, 40), s.width};
  const mx::array keys = normal(shape, dtype), values = normal(shape, dtype);
  const auto cache = [&] { return CacheRows{own(keys), own(values), offset, first, window}; };
  const AttentionOutput want = composed::attention_block(h, layer.attention(), table, cache());
  const std::string bits_h = bits(composed::feed_forward_block(want.h, layer.feed_forward(), per_layer));
  const std::string bits_k = bits(want.keys), bits_v = bits(want.values);
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    const AttentionOutput got = decoder_layer(h, layer, table, cache(), per_layer);
    check(experts || is_one_node(got.h), "a producer is one node");
    check(bits(got.h) == bits_h, "decoder_layer of a producer: h");
    check(bits(got.keys) == bits_k && bits(got.values) == bits_v, "decoder_layer of a producer: cache");
  }
  // In place: what comes out is the memory that went in.
  const CacheRows before = cache();
  AttentionOutput got = decoder_layer(h, layer, table, before, per_layer);
  mx::eval({got.h, got.keys, got.values});
  check(got.keys.data<char>() == before.keys.data<char>(), "decoder_layer writes in place");
  // What is added to large values may be lost in their rounding.
  check(size == Size::large || bits(got.h) != bits(h), "decoder_layer: something happens");
}

void readers(const Sizes& s, mx::Dtype dtype) {
  const int rows = uniform(0, 2) == 0 ? 1 : uniform(2, 16), past = uniform(0, 300);
  const bool experts = uniform(0, 3) == 0;
  // A producer reads, too, where its rows were written before.
  const DecoderLayer layer = decoder_layer_of(s, dtype, uniform(0, 2) == 0, experts);
  const mx::array h = sized(some_size(), {1, 2 * rows, s.hidden}, dtype);
  const mx::array part = rows_of(h, 1, rows, 2 * rows);
  const auto per_layer = per_layer_rows(s, rows, dtype);
  const mx::array table = rope_table(frequencies(s.width), past, rows, dtype);
  const mx::Shape shape{1, s.kv_heads, past + rows + 30, s.width};
  const int begin = uniform(0, past);
  KeyRows seen{rows_of(normal(shape, dtype), 2, begin, past + rows),
               rows_of(normal(shape, dtype), 2, begin, past + rows), std::nullopt};
  if (uniform(0, 2) > 0) seen.mask = AttentionMask{past, uniform(0, 1) == 0 ? 0 : uniform(1, 70), begin};
  const mx::array attended = composed::attention_block(part, layer.attention(), table, seen);
  const std::string want = bits(composed::feed_forward_block(attended, layer.feed_forward(), per_layer));
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    const mx::array got = decoder_layer(part, layer, table, seen, per_layer);
    check(experts || is_one_node(got), "a reader is one node");
    check(bits(got) == want, "decoder_layer of a reader");
  }
}

/** Several layers in one node are one after the other; a mixture of experts among them makes it several. */
void stacks(const Sizes& s, mx::Dtype dtype) {
  if (s.per_layer > 0) return;
  const int rows = uniform(0, 2) == 0 ? 1 : uniform(2, 16), past = uniform(0, 200);
  const bool experts = uniform(0, 3) == 0;
  std::vector<DecoderLayer> layers;
  std::vector<int> which;
  for (int i = 0; i < 4; ++i) {
    layers.push_back(decoder_layer_of(s, dtype, false, experts && i == 2));
    which.push_back(uniform(0, 1));
  }
  std::vector<LayerReads> reads;
  for (int i = 0; i < 2; ++i) {
    const mx::Shape shape{1, s.kv_heads, past + rows, s.width};
    reads.push_back({rope_table(frequencies(s.width), past + i, rows, dtype),
                     {normal(shape, dtype), normal(shape, dtype), std::nullopt}});
    if (i == 1) reads[i].seen.mask = AttentionMask{past, uniform(1, 70), 0};
  }
  const mx::array h = sized(some_size(), {1, rows, s.hidden}, dtype);
  mx::array want = h;
  for (int i = 0; i < 4; ++i) {
    const auto& [table, seen] = reads[which[i]];
    want = composed::attention_block(want, layers[i].attention(), table, seen);
    want = composed::feed_forward_block(want, layers[i].feed_forward(), std::nullopt);
  }
  const std::string bits_h = bits(want);
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    const mx::array got = decoder_layers(h, layers, which, reads);
    check(experts || std::string(got.primitive().name()) == "GemmaLayerStack", "decoder_layers is one node");
    check(bits(got) == bits_h, "decoder_layers");
  }
}

/** Weights that are not in memory when the layer is made, or lie apart there, make it a composition; its bits
 * stay. */
void unprepared(const Sizes& s, mx::Dtype dtype) {
  AttentionLayer attention = attention_layer(s, dtype, false, false);
  const FeedForwardLayer rest = feed_forward_layer(s, dtype);
  const DecoderLayer prepared(attention, rest);
  const mx::array h = normal({1, 2, s.hidden}, dtype);
  const auto per_layer = per_layer_rows(s, 2, dtype);
  const mx::array table = rope_table(frequencies(s.width), 7, 2, dtype);
  const mx::Shape shape{1, s.kv_heads, 9, s.width};
  const KeyRows seen{normal(shape, dtype), normal(shape, dtype), std::nullopt};
  const std::string want = bits(decoder_layer(h, prepared, table, seen, per_layer));
  const mx::array twice = mx::repeat(attention.input_layernorm, 2);
  for (const mx::array& norm :
       {mx::copy(attention.input_layernorm), ready(mx::slice(twice, {0}, {2 * s.hidden}, {2}))}) {
    attention.input_layernorm = norm;
    const DecoderLayer layer(attention, rest);
    const mx::array got = decoder_layer(h, layer, table, seen, per_layer);
    check(!is_one_node(got), "a layer whose weights are not at hand is a composition");
    check(bits(got) == want, "decoder_layer of weights that are not at hand");
  }
}

/** Values that are no numbers make of a block what they make of its composition, and stay in their rows. */
void specials(const Sizes& s, mx::Dtype dtype) {
  std::vector<float> values(3 * s.hidden, 1.0f);
  values[s.hidden / 2] = std::numeric_limits<float>::quiet_NaN();
  values[2 * s.hidden] = std::numeric_limits<float>::infinity();
  const mx::array h = from_values(values, {1, 3, s.hidden}, dtype);
  const auto like = [&](const std::string& what, const mx::array& got, const mx::array& want) {
    const auto found = numbers(got), expected = numbers(want);
    bool ok = true;
    for (int i = 0; i < 3 * s.hidden; ++i) {
      ok = ok && close(found[i], expected[i], 0, dtype);
      if (i / s.hidden == 1) ok = ok && std::isfinite(found[i]);
    }
    check(ok && std::isnan(found[s.hidden / 2]), what + " of what is no number");
  };
  const DecoderLayer layer(attention_layer(s, dtype, false, false), feed_forward_layer(s, dtype));
  const mx::array table = rope_table(frequencies(s.width), 20, 3, dtype);
  const mx::Shape shape{1, s.kv_heads, 23, s.width};
  const KeyRows seen{normal(shape, dtype), normal(shape, dtype), AttentionMask{.query_offset = 20}};
  const auto per_layer = per_layer_rows(s, 3, dtype);
  const mx::array attended = composed::attention_block(h, layer.attention(), table, seen);
  like("decoder_layer", decoder_layer(h, layer, table, seen, per_layer),
       composed::feed_forward_block(attended, layer.feed_forward(), per_layer));
}

/** The centroid head against sorting all scores, and its scores against linear(). */
void centroids(mx::Dtype dtype) {
  const int clusters = uniform(1, 70), size = uniform(1, 9), hidden = 32 * uniform(1, 3),
            k = uniform(1, clusters);
  const mx::array h = normal({1, 1, hidden}, dtype);
  const Matrix table = weights(clusters * size, hidden, dtype, uniform(0, 1) == 0);
  // Some clusters score the same, to the bit.
  const mx::array centroids =
      mx::take(normal({clusters, hidden}, dtype), mx::floor_divide(mx::arange(clusters), mx::array(2)), 0);
  const std::vector<double> scores = numbers(linear(h, centroids));
  std::vector<int> order(clusters);
  for (int c = 0; c < clusters; ++c) order[c] = c;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  std::sort(order.begin(), order.begin() + k);
  const mx::array ordering = mx::astype(mx::argsort(normal({clusters * size}, mx::float32)), mx::int32);
  const mx::array chosen = top_clusters(h, centroids, k);
  const std::vector<double> found = numbers(chosen);
  check(std::equal(found.begin(), found.end(), order.begin(), order.begin() + k), "top_clusters");
  const auto [logits, tokens] = cluster_scores(h, centroids, k, table, ordering);
  std::vector<int> rows;
  for (int i = 0; i < k * size; ++i) rows.push_back(order[i / size] * size + i % size);
  const mx::array picked(rows.begin(), {k * size}, mx::int32);
  const mx::array all = mx::reshape(project(h, table), {1, clusters * size});
  check(bits(logits) == bits(mx::take(all, picked, 1)), "cluster_scores: logits");
  check(bits(tokens) == bits(mx::take(ordering, picked, 0)), "cluster_scores: tokens");
  check(bits(best_cluster_token(h, centroids, k, table, ordering)) == bits(largest_token(logits, tokens)),
        "best_cluster_token");
}

/** A projection of what lies in two or three arrays is that of their concatenation. */
void joined_projections(mx::Dtype dtype) {
  const int rows = uniform(1, 20), widths[] = {32 * uniform(1, 3), uniform(0, 1) == 0 ? 32 : 64, 32};
  std::vector<mx::array> parts;
  int width = 0;
  for (int i = 0; i < uniform(2, 3); ++i) {
    const mx::array wider = sized(some_size(), {1, rows, widths[i] + 5}, dtype);
    parts.push_back(uniform(0, 1) == 0 ? mx::slice(wider, {0, 0, 5}, wider.shape())
                                       : normal({1, rows, widths[i]}, dtype));
    width += widths[i];
  }
  const Matrix matrix = weights(uniform(1, 90), width, dtype, uniform(0, 1) == 0);
  const std::string want = bits(project(mx::concatenate(parts, -1), matrix));
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    check(bits(project(parts, matrix)) == want, "a projection of parts");
  }
}

/** Rows of a plain table; packed ones are among the tests of packed weights. */
void embeddings(mx::Dtype dtype) {
  const mx::array table = normal({uniform(1, 40), uniform(1, 90)}, dtype), factor = normal({}, dtype);
  std::vector<int> ids(uniform(1, 20));
  for (int& id : ids) id = uniform(0, table.shape(0) - 1);
  const mx::array rows(ids.begin(), {1, static_cast<int>(ids.size())}, mx::int32);
  check(bits(embedding(table, rows, factor)) == bits(mx::multiply(mx::take(table, rows, 0), factor)),
        "embedding");
}

/** Per-layer inputs are what they are made of. */
void per_layer_inputs(mx::Dtype dtype) {
  const int rows = uniform(1, 20), layers = uniform(1, 5), size = uniform(1, 70);
  const mx::array projected = sized(some_size(), {1, rows, layers * size}, dtype);
  const PerLayerMix mix{
      .norm = norm_weight(size, dtype), .eps = 1e-6f, .projection_scale = 0.37f, .scale = 0.70710678f};
  const mx::array embedded = normal({1, rows, layers * size}, dtype);
  const std::string want = bits(composed::per_layer_inputs(projected, embedded, mix));
  for (int threads = 1; threads <= 3; ++threads) {
    set_threads(threads);
    check(bits(kernels::per_layer_inputs(projected, embedded, mix)) == want, "per_layer_inputs");
  }
}

}  // namespace

void blocks_tests() {
  const std::vector<Sizes> sizes{
      {64, 4, 2, 16, 128, 8}, {96, 4, 1, 48, 200, 0}, {33, 3, 3, 10, 47, 5}, {640, 8, 2, 64, 1300, 64}};
  for (const mx::Dtype dtype : kTypes) {
    set_context(text(dtype));
    for (int i = 0; i < 12; ++i) {
      centroids(dtype);
      embeddings(dtype);
      joined_projections(dtype);
      per_layer_inputs(dtype);
    }
    for (const Sizes& s : sizes) {
      for (int i = 0; i < 9; ++i) {
        producers(s, dtype);
        readers(s, dtype);
        stacks(s, dtype);
      }
      unprepared(s, dtype);
      specials(s, dtype);
    }
  }
  set_threads(0);
}

}  // namespace mlx_gemma::kernels::test
