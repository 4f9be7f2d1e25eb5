import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { DraftDistribution, DraftPicker } from "./drafter.js";
import type { HeadScores } from "./head.js";

/** A drafted token, lazily. */
export interface Picked {
  /** int32 (1, 1). */
  readonly token: MlxArray;
  /** q, when sampling. */
  readonly distribution?: DraftDistribution;
}

/**
 * Picks a token from a step's scores.
 *
 * @param position absolute position of the token that is picked, for its random key
 */
export function pickToken({ logits, tokens }: HeadScores, picker: DraftPicker, position: number): Picked {
  const tokenAt = (place: MlxArray) => {
    const column = ops.reshape(place, [1, 1]);
    return tokens ? ops.takeAlongAxis(tokens, column, 1) : column;
  };
  if (picker.kind === "greedy") return { token: tokenAt(ops.argmax(logits, -1)) };
  const logQ = picker.logProbabilities(ops.astype(logits, "float32"));
  return {
    token: tokenAt(ops.randomCategorical(logQ, picker.key(position))),
    distribution: { probabilities: ops.exp(logQ), ...(tokens ? { tokens } : {}) },
  };
}
