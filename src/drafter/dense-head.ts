import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { DraftHead } from "./head.js";

/**
 * The dense, tied head: `h · embed_tokensᵀ`. No softcap, as in the reference.
 *
 * @param embedding (vocab_size, hidden_size)
 */
export function denseHead(embedding: MlxArray): DraftHead {
  const [vocab = 0] = embedding.shape;
  return {
    scores: (h) => ({ logits: ops.reshape(ops.linear(h, embedding), [1, vocab]) }),
    [Symbol.dispose]: () => embedding.dispose(),
  };
}
