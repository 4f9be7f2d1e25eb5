import { MlxGemmaError } from "../errors.js";
import { disposeAll, evaluate, fromInt32, type MlxArray, readBytes, readInt32, scope } from "../mlx/array.js";
import { arraysOf, type Matrix, mapRows, rowCount } from "../mlx/matrix.js";
import * as ops from "../mlx/ops.js";
import type { DraftHead } from "./head.js";

/** What the centroid head is made of. */
export interface CentroidWeights {
  /** (num_centroids, hidden_size), scores of clusters; never packed. */
  readonly centroids: MlxArray;
  /** int32 or int64 (vocab_size), the tokens cluster by cluster, as they are stored; evaluated. */
  readonly tokenOrdering: MlxArray;
  /** (vocab_size, hidden_size), in the order of token ids. */
  readonly embedding: Matrix;
}

/** The centroid head (`use_ordered_embeddings`; reference: `Gemma4AssistantMaskedEmbedder`). */
export interface CentroidHead extends DraftHead {
  /** h (1, 1, hidden_size) → uint32 (top_k), the clusters whose tokens are scored, in no particular order. */
  clusters(h: MlxArray): MlxArray;
}

/**
 * Scores the tokens of the `topK` best clusters only. The embedding's rows are put in the order of the clusters once,
 * here, so that a step reads `topK` contiguous blocks: packed rows as they are, with their scales and biases.
 *
 * @param where named in errors: the file of `token_ordering`
 * @throws MlxGemmaError `checkpoint` when `token_ordering` is no permutation of the vocabulary in clusters of equal size
 */
export async function centroidHead(
  weights: CentroidWeights,
  topK: number,
  where: string,
): Promise<CentroidHead> {
  const { centroids, embedding } = weights;
  const [count = 0] = centroids.shape;
  const vocab = rowCount(embedding);
  const ordering = readOrdering(weights.tokenOrdering);
  checkOrdering(ordering, vocab, count, where);
  weights.tokenOrdering.dispose();
  const tokenOrdering = fromInt32(Int32Array.from(ordering), [vocab]);
  const table = scope(() => mapRows(embedding, (rows) => ops.take(rows, tokenOrdering, 0)));
  await evaluate([arraysOf(table)]);
  disposeAll(arraysOf(embedding));

  return {
    clusters: (h) => ops.topClusters(h, centroids, topK),
    scores(h) {
      const [logits, tokens] = ops.clusterScores(h, centroids, topK, table, tokenOrdering);
      if (!logits || !tokens) throw new MlxGemmaError("native", "the addon gave no cluster scores");
      return { logits, tokens };
    },
    largest: (h) => ops.bestClusterToken(h, centroids, topK, table, tokenOrdering),
    [Symbol.dispose]() {
      disposeAll([centroids, tokenOrdering, ...arraysOf(table)]);
    },
  };
}

/** The ids before anything is cut off them: 2^32 + 7 must not pass for 7. What float64 can't hold is no id either. */
function readOrdering(stored: MlxArray): Float64Array {
  if (stored.dtype === "int32") return Float64Array.from(readInt32(stored));
  const { buffer, byteOffset, byteLength } = readBytes(stored);
  const halves = new DataView(buffer, byteOffset, byteLength);
  // A vocabulary of BigInts would take tens of milliseconds.
  return Float64Array.from(
    { length: byteLength / 8 },
    (_, i) => halves.getInt32(8 * i + 4, true) * 2 ** 32 + halves.getUint32(8 * i, true),
  );
}

/** @throws MlxGemmaError `checkpoint` that says what is wrong, with the first place of it. */
export function checkOrdering(
  ordering: ArrayLike<number>,
  vocab: number,
  clusters: number,
  where: string,
): void {
  const bad = (found: string) =>
    new MlxGemmaError(
      "checkpoint",
      `${where}: token_ordering must list each of the ${vocab} token ids once, in ${clusters} clusters of equal size; found ${found}; download the assistant again`,
    );
  if (vocab % clusters !== 0) throw bad(`${vocab} tokens, which ${clusters} does not divide`);
  if (ordering.length !== vocab) throw bad(`${ordering.length} entries`);
  const seenAt = new Int32Array(vocab).fill(-1);
  for (let place = 0; place < ordering.length; place++) {
    const id = ordering[place] ?? -1;
    if (id < 0 || id >= vocab) throw bad(`id ${id} at place ${place}`);
    const before = seenAt[id];
    if (before !== undefined && before >= 0) throw bad(`id ${id} twice, at places ${before} and ${place}`);
    seenAt[id] = place;
  }
}
