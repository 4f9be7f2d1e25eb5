import type { MlxArray } from "../mlx/array.js";

/** Scores of one draft step, over candidates or over the whole vocabulary. */
export interface HeadScores {
  /** (1, C), in the drafter's dtype. */
  readonly logits: MlxArray;
  /** int32 (1, C), the token of each score; absent when C is the vocabulary in order. */
  readonly tokens?: MlxArray;
}

/** From the drafter's last hidden state to scores of tokens. */
export interface DraftHead extends Disposable {
  /** h (1, 1, hidden_size) → scores. */
  scores(h: MlxArray): HeadScores;
  /** h (1, 1, hidden_size) → int32 (1, 1), the token with the largest score. */
  largest(h: MlxArray): MlxArray;
}
