#include "ops.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "kernels/centroid.h"
#include "kernels/sampling.h"
#include "mlx/ops.h"

namespace mlx_gemma {

namespace mx = mlx::core;

namespace {

void DefineElementwise(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::add(a.array(0), a.array(1)); }>(ops, "add");
  Define<[](const Arguments& a) { return mx::multiply(a.array(0), a.array(1)); }>(ops, "multiply");
  Define<[](const Arguments& a) { return mx::divide(a.array(0), a.array(1)); }>(ops, "divide");
  Define<[](const Arguments& a) { return mx::exp(a.array(0)); }>(ops, "exp");
  Define<[](const Arguments& a) { return mx::astype(a.array(0), a.dtype(1)); }>(ops, "astype");
}

void DefineMakers(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::array(a.number(0), a.dtype(1)); }>(ops, "scalar");
  Define<[](const Arguments& a) { return mx::zeros(a.shape(0), a.dtype(1)); }>(ops, "zeros");
}

void DefineShapes(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::reshape(a.array(0), a.shape(1)); }>(ops, "reshape");
  Define<[](const Arguments& a) { return mx::slice(a.array(0), a.shape(1), a.shape(2)); }>(ops, "slice");
  Define<[](const Arguments& a) { return mx::concatenate(a.arrays(0), a.integer(1)); }>(ops, "concatenate");
  Define<[](const Arguments& a) { return mx::take(a.array(0), a.array(1), a.integer(2)); }>(ops, "take");
  Define<[](const Arguments& a) { return mx::take_along_axis(a.array(0), a.array(1), a.integer(2)); }>(
      ops, "takeAlongAxis");
  Define<[](const Arguments& a) {
    return mx::put_along_axis(a.array(0), a.array(1), a.array(2), a.integer(3));
  }>(ops, "putAlongAxis");
}

void DefineReductions(Napi::Object ops) {
  Define<[](const Arguments& a) { return mx::max(a.array(0), a.integer(1), a.flag(2)); }>(ops, "max");
  Define<[](const Arguments& a) { return mx::min(a.array(0), a.integer(1), a.flag(2)); }>(ops, "min");
}

/** The values of a packed weight. */
mx::array Dequantize(const kernels::Matrix& matrix, mx::Dtype dtype) {
  const auto* packed = std::get_if<kernels::QuantizedWeight>(&matrix);
  if (packed == nullptr) throw std::invalid_argument("expected a packed weight");
  packed->check(static_cast<int>(packed->weight.ndim()));
  return mx::dequantize(packed->weight, packed->scales, packed->biases, packed->group_size, packed->bits,
                        kernels::name(packed->mode), std::nullopt, dtype);
}

void DefineMatrices(Napi::Object ops) {
  Define<[](const Arguments& a) { return kernels::project(a.array(0), a.matrix(1)); }>(ops, "linear");
  Define<[](const Arguments& a) { return kernels::project(a.arrays(0), a.matrix(1)); }>(ops, "joinedLinear");
  Define<[](const Arguments& a) { return Dequantize(a.matrix(0), a.dtype(1)); }>(ops, "dequantize");
  DefineList<[](const Arguments& a) {
    return mx::quantize(a.array(0), a.integer(1), a.integer(2), a.text(3));
  }>(ops, "quantize");
}

void DefineKernels(Napi::Object ops) {
  Define<[](const Arguments& a) {
    return kernels::rms_norm(a.array(0), a.optional_array(1), static_cast<float>(a.number(2)));
  }>(ops, "rmsNorm");
  Define<[](const Arguments& a) { return kernels::argmax(a.array(0)); }>(ops, "argmax");
  Define<[](const Arguments& a) { return kernels::largest_token(a.array(0), a.array(1)); }>(ops,
                                                                                            "largestToken");
  Define<[](const Arguments& a) { return kernels::rope_table(a.array(0), a.integer(1), 1, a.dtype(2)); }>(
      ops, "ropeTable");
  Define<[](const Arguments& a) { return kernels::top_clusters(a.array(0), a.array(1), a.integer(2)); }>(
      ops, "topClusters");
  DefineList<[](const Arguments& a) -> std::vector<mx::array> {
    const auto [logits, tokens] =
        kernels::cluster_scores(a.array(0), a.array(1), a.integer(2), a.matrix(3), a.array(4));
    return {logits, tokens};
  }>(ops, "clusterScores");
  Define<[](const Arguments& a) {
    return kernels::best_cluster_token(a.array(0), a.array(1), a.integer(2), a.matrix(3), a.array(4));
  }>(ops, "bestClusterToken");
}

void DefineSampling(Napi::Object ops) {
  Define<[](const Arguments& a) {
    return kernels::probabilities(
        a.array(0),
        {.temperature = a.number(1), .top_k = a.integer(2), .top_p = a.number(3), .min_p = a.number(4)});
  }>(ops, "probabilities");
  Define<[](const Arguments& a) { return kernels::draw(a.array(0), a.optional_array(1), a.key(2)); }>(ops,
                                                                                                      "draw");
  Define<[](const Arguments& a) {
    std::optional<kernels::Drafts> drafts;
    if (const std::optional<mx::array> tokens = a.optional_array(1)) drafts = {*tokens, a.distributions(2)};
    return kernels::judge(a.array(0), drafts, a.keys(3), a.keys(4));
  }>(ops, "judge");
}

}  // namespace

void RegisterOps(Napi::Env env, Napi::Object exports) {
  Napi::Object ops = Napi::Object::New(env);
  DefineElementwise(ops);
  DefineMakers(ops);
  DefineShapes(ops);
  DefineReductions(ops);
  DefineKernels(ops);
  DefineMatrices(ops);
  DefineSampling(ops);
  exports.Set("ops", ops);
}

}  // namespace mlx_gemma
