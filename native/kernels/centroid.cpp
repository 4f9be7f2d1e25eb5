// Scalar reference: scores[c] = dot(h, centroid[c]) as in linear.cpp; the k clusters that come first by
// (score descending, c ascending), then linear.cpp's products with their rows.
#include "centroid.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "direct.h"
#include "inputs.h"
#include "mlx/ops.h"
#include "scratch.h"

namespace mlx_gemma::kernels {
namespace {

/** Places of the k largest of n scores, ascending; a NaN is smaller than any number. */
void largest(int element, const char* scores, int n, int k, std::uint32_t* out) {
  auto* keys = reinterpret_cast<float*>(thread_scratch(0, static_cast<std::size_t>(2 * n)));
  auto* places = reinterpret_cast<std::uint32_t*>(keys + n);
  for (int i = 0; i < n; ++i) {
    const float score = float_at(element, scores, i);
    keys[i] = score == score ? score : -__builtin_inff();
  }
  std::iota(places, places + n, 0u);
  std::nth_element(places, places + k - 1, places + n, [&](std::uint32_t a, std::uint32_t b) {
    return keys[a] != keys[b] ? keys[a] > keys[b] : a < b;
  });
  std::sort(places, places + k);
  std::memcpy(out, places, k * sizeof(*out));
}

/** The k clusters of h, ascending. */
void best_clusters(const RowView& h, const WeightView& centroids, int k, std::uint32_t* out) {
  char* scores = Scratch(centroids.outputs() * centroids.size()).take(0);
  const direct::LinearPart part(centroids, scores);
  direct::linear(h, &part, 1);
  largest(static_cast<int>(centroids.element()), scores, centroids.outputs(), k, out);
}

class TopClusters : public CpuPrimitive {
 public:
  explicit TopClusters(mx::Stream stream) : CpuPrimitive(stream) {}
  const char* name() const override { return "GemmaTopClusters"; }

  void eval_cpu(const std::vector<array>& inputs, array& out) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    allocate(out);
    const Element element = element_of(inputs[0], name());
    const Packings plain{std::nullopt};
    Inputs in(inputs, plain, element, encoder);
    const array h = in.next();
    const WeightView centroids = in.matrix();
    encoder.set_output_array(out);
    encoder.dispatch([x = RowView(h), centroids, k = out.shape(0), to = out.data<std::uint32_t>()]() {
      best_clusters(x, centroids, k, to);
    });
  }
};

/** What scoring the tokens of h's best clusters reads. */
struct ClusterJob {
  RowView h;
  WeightView centroids, table;
  const std::int32_t* ordering;
  int k;

  int size() const { return table.outputs() / centroids.outputs(); }
  std::vector<std::uint32_t> best() const {
    std::vector<std::uint32_t> chosen(k);
    best_clusters(h, centroids, k, chosen.data());
    return chosen;
  }
  /** (k * size) scores. */
  void scores(const std::vector<std::uint32_t>& chosen, char* logits) const {
    std::vector<direct::LinearPart> parts;
    for (int i = 0; i < k; ++i) {
      const int first = static_cast<int>(chosen[i]) * size();
      parts.emplace_back(table, first, first + size(), logits + i * size() * table.size(), size());
    }
    direct::linear(h, parts.data(), k);
  }
};

/** Inputs: h, the centroids, the table, ordering. Outputs: logits and tokens, or the best token alone. */
class ClusterScoring : public CpuPrimitives {
 public:
  ClusterScoring(mx::Stream stream, int k, Packings packings)
      : CpuPrimitives(stream), k_(k), packings_(std::move(packings)) {}
  const char* name() const override { return "GemmaClusterScores"; }

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    for (array& out : outputs) allocate(out);
    Inputs in(inputs, packings_, element_of(inputs[0], name()), encoder);
    ClusterJob job{.h = RowView(in.next()),
                   .centroids = in.matrix(),
                   .table = in.matrix(),
                   .ordering = reinterpret_cast<const std::int32_t*>(in.vector()),
                   .k = k_};
    for (array& out : outputs) encoder.set_output_array(out);
    auto* tokens = outputs.back().data<std::int32_t>();
    if (outputs.size() == 1) return encoder.dispatch([job, tokens]() { *tokens = best_token(job); });
    encoder.dispatch([job, tokens, logits = bytes_of(outputs[0])]() {
      const auto chosen = job.best();
      job.scores(chosen, logits);
      for (int i = 0; i < job.k; ++i) {
        std::memcpy(tokens + i * job.size(), job.ordering + static_cast<std::int64_t>(chosen[i]) * job.size(),
                    job.size() * sizeof(std::int32_t));
      }
    });
  }

 private:
  static std::int32_t best_token(const ClusterJob& job) {
    const auto chosen = job.best();
    const int count = job.k * job.size();
    char* logits = Scratch(count * job.table.size()).take(0);
    job.scores(chosen, logits);
    const int place = row_functions().argmax[static_cast<int>(job.table.element())](logits, count);
    return job
        .ordering[static_cast<std::int64_t>(chosen[place / job.size()]) * job.size() + place % job.size()];
  }

  int k_;
  Packings packings_;
};

/** Rows of the chosen clusters, (C * size, n) → (k * size, n). */
array cluster_rows(const array& rows, const array& chosen, int clusters) {
  const int size = rows.shape(0) / clusters;
  const array blocks = mx::reshape(rows, {clusters, size, rows.shape(1)});
  return mx::reshape(mx::take(blocks, chosen, 0), {chosen.shape(0) * size, rows.shape(1)});
}

ClusterScores composed_scores(const array& h, const array& centroids, int k, const Matrix& table,
                              const array& ordering) {
  const int clusters = centroids.shape(0);
  const array chosen = top_clusters(h, centroids, k);
  const auto rows = [&](const array& a) { return cluster_rows(a, chosen, clusters); };
  Matrix picked = table;
  if (auto* packed = std::get_if<QuantizedWeight>(&picked)) {
    packed->weight = rows(packed->weight);
    packed->scales = rows(packed->scales);
    if (packed->biases) packed->biases = rows(*packed->biases);
  } else {
    picked = rows(std::get<array>(table));
  }
  const array logits = project(h, picked);  // (1, 1, k * size)
  const int count = logits.shape(-1);
  const array tokens = mx::take(mx::reshape(ordering, {clusters, -1}), chosen, 0);
  return {mx::reshape(logits, {1, count}), mx::reshape(tokens, {1, count})};
}

void check(const array& h, const array& centroids, int k, const char* kernel) {
  element_of(h, kernel);
  require(h.ndim() == 3 && h.shape(0) == 1 && h.shape(1) == 1 && centroids.ndim() == 2 &&
              centroids.shape(1) == h.shape(2) && centroids.dtype() == h.dtype(),
          kernel, "expected h (1, 1, H) and centroids (C, H) of one dtype");
  require(k >= 1 && k <= centroids.shape(0), kernel, "expected between 1 and C clusters");
}

}  // namespace

array top_clusters(const array& h, const array& centroids, int k) {
  check(h, centroids, k, "top_clusters");
  if (own_kernels())
    return array({k}, mx::uint32, std::make_shared<TopClusters>(current_stream()), {h, centroids});
  const int count = centroids.shape(0);
  const array order = mx::argpartition(mx::reshape(linear(h, centroids), {count}), count - k, 0);
  return mx::slice(order, {count - k}, {count});
}

namespace {

void check(const array& h, const array& centroids, int k, const Matrix& table, const array& ordering,
           const char* kernel) {
  check(h, centroids, k, kernel);
  const int rows = outputs(table);
  require(
      rows % centroids.shape(0) == 0 && ordering.shape() == mx::Shape{rows} && ordering.dtype() == mx::int32,
      kernel, "expected a table of C * size rows and ordering int32 (C * size)");
  check_matrix(table, h.shape(2), kernel);
}

/** The primitive and its inputs; nothing where it is a composition. */
std::optional<std::pair<std::shared_ptr<mx::Primitive>, std::vector<array>>> scoring(
    const array& h, const array& centroids, int k, const Matrix& table, const array& ordering) {
  if (!own_kernels() || !packed_or(h.dtype(), table)) return std::nullopt;
  std::vector<array> inputs{h};
  Packings packings;
  append(centroids, inputs, packings);
  append(table, inputs, packings);
  inputs.push_back(ordering);
  return std::pair{std::make_shared<ClusterScoring>(current_stream(), k, std::move(packings)),
                   std::move(inputs)};
}

}  // namespace

ClusterScores cluster_scores(const array& h, const array& centroids, int k, const Matrix& table,
                             const array& ordering) {
  check(h, centroids, k, table, ordering, "cluster_scores");
  auto own = scoring(h, centroids, k, table, ordering);
  if (!own) return composed_scores(h, centroids, k, table, ordering);
  const int count = k * (outputs(table) / centroids.shape(0));
  const auto made =
      array::make_arrays({{1, count}, {1, count}}, {h.dtype(), mx::int32}, own->first, own->second);
  return {made[0], made[1]};
}

array best_cluster_token(const array& h, const array& centroids, int k, const Matrix& table,
                         const array& ordering) {
  check(h, centroids, k, table, ordering, "best_cluster_token");
  if (auto own = scoring(h, centroids, k, table, ordering)) {
    return array({1, 1}, mx::int32, std::move(own->first), std::move(own->second));
  }
  const auto [logits, tokens] = composed_scores(h, centroids, k, table, ordering);
  return largest_token(logits, tokens);
}

}  // namespace mlx_gemma::kernels
