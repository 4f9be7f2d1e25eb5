import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { DraftDistribution, DraftPicker } from "./drafter.js";
import type { HeadScores } from "./head.js";

/** A drafted token, lazily. */
export interface Picked {
  /** int32 (1, 1). */
  readonly token: MlxArray;
  /** q, where the picker has `logProbabilities`. */
  readonly distribution?: DraftDistribution;
}

/**
 * Picks a token from a step's scores.
 *
 * @param position absolute position of the token that is picked, for its random key
 */
export function pickToken({ logits, tokens }: HeadScores, picker: DraftPicker, position: number): Picked {
  const logQ = picker.logProbabilities?.(ops.astype(logits, "float32"));
  const drawn =
    picker.kind === "sample" && logQ ? ops.randomCategorical(logQ, picker.key(position)) : undefined;
  return {
    token: drawn ? tokenAt(tokens, drawn) : largest(logits, tokens),
    ...(logQ ? { distribution: { probabilities: ops.exp(logQ), ...(tokens ? { tokens } : {}) } } : {}),
  };
}

/** The token at a place (1) among candidates, or in the whole vocabulary: int32 (1, 1). */
function tokenAt(tokens: MlxArray | undefined, place: MlxArray): MlxArray {
  const column = ops.reshape(place, [1, 1]);
  return tokens ? ops.takeAlongAxis(tokens, column, 1) : column;
}

function largest(logits: MlxArray, tokens: MlxArray | undefined): MlxArray {
  return tokens ? ops.largestToken(logits, tokens) : ops.reshape(ops.argmax(logits), [1, 1]);
}
