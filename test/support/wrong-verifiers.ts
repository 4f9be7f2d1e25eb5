import type { DraftDistribution } from "../../src/drafter/drafter.js";
import * as ops from "../../src/mlx/ops.js";
import { DRAW, drawKey, type SamplingOptions } from "../../src/speculative/sampling.js";
import { samplingVerifier, type Verifier } from "../../src/speculative/verifier.js";

/** A verifier that is wrong in a way that somebody has had, or nearly. */
export type WrongVerifier = (options: SamplingOptions) => Verifier;

const weakened = (one: DraftDistribution, factor: number): DraftDistribution => ({
  ...one,
  probabilities: ops.multiply(one.probabilities, ops.scalar(factor, "float32")),
});

/** The token after a rejected draft comes from p instead of the rest of p - q: of the rows that `wrong` names. */
function withoutRest(wrong: (row: number) => boolean): WrongVerifier {
  return (options) => {
    const verifier = samplingVerifier(options);
    return {
      ...verifier,
      judge(logits, proposal, position) {
        const verdict = verifier.judge(logits, proposal, position);
        const drafts = proposal.tokens?.shape[1] ?? 0;
        if (drafts === 0) return verdict;
        // A drafter that says nothing leaves all of p.
        const nothing = proposal.distributions.map((one) => weakened(one, 0));
        const plain = verifier.judge(logits, { ...proposal, distributions: nothing }, position);
        const next = Array.from({ length: drafts + 1 }, (_, row) =>
          ops.slice(wrong(row) ? plain : verdict, [2 * drafts + row], [2 * drafts + row + 1]),
        );
        return ops.concatenate([ops.slice(verdict, [0], [2 * drafts]), ...next], 0);
      },
    };
  };
}

/** By what is wrong. */
export const WRONG_VERIFIERS: Readonly<Record<string, WrongVerifier>> = {
  "the token after a rejection comes from p, not from p - q": withoutRest(() => true),
  // To go on without drafts where the first one would be rejected is the same as to draw from p there.
  "K is 0 where the accept test of the first draft is seen to fail": withoutRest((row) => row === 0),
  // What transformers does.
  "drafts are the argmax, judged as draws from q": (options) => ({
    ...samplingVerifier(options),
    pick: { kind: "greedy", probabilities: (logits) => ops.probabilities(logits, options) },
  }),
  "q is taken for smaller than drafts were drawn with": (options) => {
    const verifier = samplingVerifier(options);
    return {
      ...verifier,
      judge: (logits, proposal, position) =>
        verifier.judge(
          logits,
          { ...proposal, distributions: proposal.distributions.map((one) => weakened(one, 0.6)) },
          position,
        ),
    };
  },
  "draft and token after a rejection share one random number": (options) => {
    const verifier = samplingVerifier(options);
    if (verifier.pick.kind !== "sample") return verifier;
    const key = (position: number) => drawKey(options.seed, position, DRAW.target);
    return { ...verifier, pick: { ...verifier.pick, key } };
  },
};
