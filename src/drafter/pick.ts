import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { DraftDistribution, DraftPicker } from "./drafter.js";
import type { HeadScores } from "./head.js";

/** A drafted token, lazily. */
export interface Picked {
  /** int32 (1, 1). */
  readonly token: MlxArray;
  /** q, where the picker has `probabilities`. */
  readonly distribution?: DraftDistribution;
}

/**
 * Picks a token from a step's scores.
 *
 * @param position absolute position of the token that is picked, for its random key
 */
export function pickToken({ logits, tokens }: HeadScores, picker: DraftPicker, position: number): Picked {
  const probabilities = picker.probabilities?.(logits);
  const token =
    picker.kind === "sample" && probabilities
      ? ops.draw(probabilities, tokens ?? null, picker.key(position))
      : largest(logits, tokens);
  return {
    token,
    ...(probabilities ? { distribution: { probabilities, ...(tokens ? { tokens } : {}) } } : {}),
  };
}

function largest(logits: MlxArray, tokens: MlxArray | undefined): MlxArray {
  return tokens ? ops.largestToken(logits, tokens) : ops.reshape(ops.argmax(logits), [1, 1]);
}
