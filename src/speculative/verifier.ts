import type { DraftPicker, Proposal } from "../drafter/drafter.js";
import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { Verdict } from "./accept.js";
import { DRAW, drawKey, type SamplingOptions } from "./sampling.js";

/** Judges drafts against the target's logits, on the device. */
export interface Verifier {
  /** How the drafter shall pick, so that it matches how it is judged. */
  readonly pick: DraftPicker;
  /**
   * logits (1, K+1, V) of block `[bonus, d1 … dK]` at `position`: the verdict as int32, lazily. It begins with the K
   * drafts and ends with the K+1 next tokens; `read` knows what is between.
   */
  judge(logits: MlxArray, proposal: Proposal, position: number): MlxArray;
  /** The values of `judge`'s array. */
  read(verdict: Int32Array): Verdict;
  /** Present where a trace is kept: how likely each token was, lazily; `readProbabilities` splits it. */
  readonly probabilities?: (logits: MlxArray, proposal: Proposal, verdict: MlxArray) => MlxArray;
}

/** Accepts a draft that is the target's own argmax: what the target says tells it, so the verdict has no flags. */
export const greedyVerifier: Verifier = {
  pick: { kind: "greedy" },
  judge(logits, { tokens }) {
    const next = ops.argmax(logits); // (1, K+1)
    return tokens ? ops.concatenate([tokens, next], 1) : next;
  },
  read(verdict) {
    const count = (verdict.length - 1) / 2;
    const drafts = [...verdict.subarray(0, count)];
    const next = [...verdict.subarray(count)];
    return { drafts, accepted: drafts.map((token, place) => token === next[place]), next };
  },
};

/**
 * Speculative sampling (Leviathan et al. 2023, Chen et al. 2023): the output has the target's distribution,
 * whatever the drafter. p and q are float32, after the same cuts.
 */
export function samplingVerifier(options: SamplingOptions): Verifier {
  const keyOf = (purpose: number) => (position: number) => drawKey(options.seed, position, purpose);
  const probabilities = (logits: MlxArray) => ops.probabilities(logits, options);
  return {
    pick: { kind: "sample", probabilities, key: keyOf(DRAW.draft) },
    judge(logits, proposal, position) {
      const [, rows = 1] = logits.shape;
      const places = Array.from({ length: rows }, (_, row) => position + 1 + row);
      return ops.judge(probabilities(logits), proposal, {
        accept: places.slice(0, -1).map(keyOf(DRAW.accept)),
        next: places.map(keyOf(DRAW.target)),
      });
    },
    read: readFlags,
  };
}

/** Of drafts, accept flags and next tokens one after the other, (3K+1). */
function readFlags(verdict: Int32Array): Verdict {
  const count = (verdict.length - 1) / 3;
  return {
    drafts: [...verdict.subarray(0, count)],
    accepted: [...verdict.subarray(count, 2 * count)].map((flag) => flag !== 0),
    next: [...verdict.subarray(2 * count)],
  };
}
