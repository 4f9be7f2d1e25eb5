import { disposeAll, type MlxArray } from "../mlx/array.js";
import { arraysOf, type Matrix, rowCount } from "../mlx/matrix.js";
import * as ops from "../mlx/ops.js";
import type { DraftHead } from "./head.js";

/**
 * The dense, tied head: `h · embed_tokensᵀ`. No softcap, as in the reference.
 *
 * @param embedding (vocab_size, hidden_size)
 */
export function denseHead(embedding: Matrix): DraftHead {
  const vocab = rowCount(embedding);
  return {
    scores: (h: MlxArray) => ({ logits: ops.reshape(ops.linear(h, embedding), [1, vocab]) }),
    largest: (h: MlxArray) => ops.argmax(ops.linear(h, embedding)),
    [Symbol.dispose]: () => {
      disposeAll(arraysOf(embedding));
    },
  };
}
