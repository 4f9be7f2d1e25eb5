// The centroid head of an assistant: which clusters of tokens to score, and their tokens' scores.
#pragma once

#include <utility>

#include "blocks.h"

namespace mlx_gemma::kernels {

/**
 * The k clusters whose centroids have the largest products with h (Gemma4AssistantMaskedEmbedder of
 * modeling_gemma4_assistant.py); of equal ones the lowest. Nothing is read back.
 *
 * @param h (1, 1, H)
 * @param centroids (C, H)
 * @return uint32 (k); on a CPU ascending, elsewhere in no particular order
 */
array top_clusters(const array& h, const array& centroids, int k);

/** k clusters' tokens: logits (1, k * size), and int32 (1, k * size) which token each is. */
struct ClusterScores {
  array logits;
  array tokens;
};

/**
 * h times the embeddings of all tokens of its k best clusters: those of top_clusters(). On a CPU the rows are
 * read where they are, and it is one node.
 *
 * @param h (1, 1, H)
 * @param centroids (C, H)
 * @param table (C * size, H), rows in the order of `ordering`
 * @param ordering int32 (C * size), token ids cluster by cluster
 */
ClusterScores cluster_scores(const array& h, const array& centroids, int k, const Matrix& table,
                             const array& ordering);

/** largest_token() of cluster_scores(), int32 (1, 1): on a CPU one node for both. */
array best_cluster_token(const array& h, const array& centroids, int k, const Matrix& table,
                         const array& ordering);

}  // namespace mlx_gemma::kernels
