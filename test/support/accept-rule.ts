import { mulberry32 } from "../../src/bench/statistics.js";
import { fromInt32 } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { withProbabilities } from "../../src/speculative/probabilities.js";
import type { Verifier } from "../../src/speculative/verifier.js";

/** Whether a draft is accepted: from p and q of it, and a uniform number. */
export type AcceptRule = (p: number, q: number, u: number) => boolean;

/** What is right. */
export const leviathan: AcceptRule = (p, q, u) => u * q < p;

/** Shares of 1 as whole numbers: a verdict has no others. */
const WHOLE = 2 ** 30;

/** A sampling verifier that accepts by another rule. What it goes on with stays the same. */
export function withRule(verifier: Verifier, rule: AcceptRule): Verifier {
  const telling = withProbabilities(verifier);
  const random = mulberry32(verifier.pick.kind === "sample" ? verifier.pick.key(0)[0] : 0);
  return {
    ...verifier,
    judge(logits, proposal, position) {
      const verdict = verifier.judge(logits, proposal, position);
      const [, drafts = 0] = proposal.tokens?.shape ?? [];
      const told = telling.probabilities?.(logits, proposal, verdict);
      if (drafts === 0 || !told) return verdict;
      const shares = ops.astype(ops.multiply(told, ops.scalar(WHOLE, "float32")), "int32");
      const drawn = Int32Array.from({ length: drafts }, () => random() * WHOLE);
      // p of the K drafts stands first, q of them behind p of the K + 1 next tokens.
      const of = (begin: number) => ops.slice(shares, [begin], [begin + drafts]);
      return ops.concatenate([verdict, of(0), of(2 * drafts + 1), fromInt32(drawn, [drafts])], 0);
    },
    read(values) {
      if (values.length === 1) return verifier.read(values);
      const drafts = (values.length - 1) / 6;
      const verdict = verifier.read(values.subarray(0, 3 * drafts + 1));
      const share = (part: number, draft: number) =>
        (values[3 * drafts + 1 + part * drafts + draft] ?? Number.NaN) / WHOLE;
      const accepted = verdict.drafts.map((_, i) => rule(share(0, i), share(1, i), share(2, i)));
      return { ...verdict, accepted };
    },
  };
}
