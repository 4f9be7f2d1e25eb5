import type { DraftDistribution, DraftPicker, Proposal } from "../drafter/drafter.js";
import type { MlxArray } from "../mlx/array.js";
import * as ops from "../mlx/ops.js";
import type { Verdict } from "./accept.js";
import { DRAW, drawKey, logProbabilities, type SamplingOptions } from "./sampling.js";

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

/** The acceptance rule of speculative sampling; a parameter only so that a test can break it on purpose. */
export type AcceptRule = (p: MlxArray, q: MlxArray, u: MlxArray) => MlxArray;

/** Accept with probability min(1, p/q): u < p/q, without the division. */
export const leviathan: AcceptRule = (p, q, u) => ops.less(ops.multiply(u, q), p);

/**
 * Speculative sampling (Leviathan et al. 2023, Chen et al. 2023): the output has the target's distribution,
 * whatever the drafter. p and q are float32, after the same cuts.
 */
export function samplingVerifier(options: SamplingOptions, accept: AcceptRule = leviathan): Verifier {
  return {
    pick: {
      kind: "sample",
      logProbabilities: (logits) => logProbabilities(logits, options),
      key: (position) => drawKey(options.seed, position, DRAW.draft),
    },
    judge(logits, { tokens, distributions }, position) {
      const [, rows = 1, vocab = 1] = logits.shape;
      const logP = logProbabilities(ops.reshape(logits, [rows, vocab]), options);
      const flags: MlxArray[] = [];
      const next: MlxArray[] = [];
      for (let row = 0; row < rows; row++) {
        const target = position + 1 + row;
        const logTarget = ops.slice(logP, [row, 0], [row + 1, vocab]);
        const distribution = distributions[row];
        if (!tokens || !distribution) {
          next.push(ops.randomCategorical(logTarget, drawKey(options.seed, target, DRAW.target)));
          continue;
        }
        const p = ops.exp(logTarget);
        const q = overVocabulary(distribution, vocab);
        const draft = ops.slice(tokens, [0, row], [1, row + 1]);
        const u = ops.randomUniform([1, 1], drawKey(options.seed, target, DRAW.accept));
        flags.push(accept(ops.takeAlongAxis(p, draft, 1), ops.takeAlongAxis(q, draft, 1), u));
        const rest = ops.maximum(ops.subtract(p, q), ops.scalar(0, "float32"));
        next.push(ops.randomCategorical(ops.log(rest), drawKey(options.seed, target, DRAW.target)));
      }
      const parts = [...(tokens ? [tokens] : []), ...flags.map((flag) => ops.astype(flag, "int32")), ...next];
      return ops.concatenate(
        parts.map((part) => ops.reshape(part, [-1])),
        0,
      );
    },
    read: readFlags,
  };
}

/** q as float32 (1, V): 0 for every token that is no candidate. */
export function overVocabulary({ tokens, probabilities }: DraftDistribution, vocab: number): MlxArray {
  return tokens
    ? ops.putAlongAxis(ops.zeros([1, vocab], "float32"), tokens, probabilities, 1)
    : probabilities;
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
