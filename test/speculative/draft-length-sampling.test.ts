import { describe, expect, it } from "vitest";
import * as ops from "../../src/mlx/ops.js";
import { MAX_DRAFT_TOKENS } from "../../src/options.js";
import { AdaptiveLength, type DraftLength, fixedLength } from "../../src/speculative/draft-length.js";
import { GREEDY, type SamplingOptions } from "../../src/speculative/sampling.js";
import { samplingVerifier, type Verifier } from "../../src/speculative/verifier.js";
import { chiSquare, FAR } from "../support/statistics.js";
import { countTexts, PAIR, sampledTexts, textProbabilities } from "../support/table-pair.js";
import { measuredAuto } from "./simulation.js";

const LENGTH = 3;
const SEEDS = 800;
const SAMPLING = { ...GREEDY, temperature: 1 };

async function distance(
  lengthOf: () => DraftLength,
  verifierOf: (options: SamplingOptions) => Verifier = samplingVerifier,
  length = LENGTH,
) {
  const verifiers = Array.from({ length: SEEDS }, (_, seed) => verifierOf({ ...SAMPLING, seed }));
  const texts = await sampledTexts(PAIR, verifiers, { lengthOf, length });
  return chiSquare(
    countTexts(texts, PAIR.target.length, length),
    textProbabilities(PAIR.target, SAMPLING, length),
  );
}

/**
 * What a rule comes to that looks at the accept test ahead, and drafts nothing where the draft would be rejected: the
 * target's own draw stands where the one from what is left of its distribution had to.
 */
function cheating(options: SamplingOptions): Verifier {
  const honest = samplingVerifier(options);
  return {
    ...honest,
    judge(logits, proposal, position) {
      const verdict = honest.judge(logits, proposal, position);
      if (!proposal.tokens) return verdict;
      const [, , vocab = 0] = logits.shape;
      const undrafted = honest.judge(
        ops.slice(logits, [0, 0, 0], [1, 1, vocab]),
        { distributions: [] },
        position,
      );
      return ops.concatenate([ops.slice(verdict, [0], [2]), undrafted, ops.slice(verdict, [3], [4])], 0);
    },
  };
}

describe("choosing K keeps the target's own joint distribution", () => {
  it.each<[string, () => () => DraftLength]>([
    ["what a seed gets", () => () => new AdaptiveLength(MAX_DRAFT_TOKENS)],
    ["measured costs, each text learning from those before", () => measuredAuto()],
  ])("by %s", async (_, auto) => {
    const { z, degrees } = await distance(auto());
    expect(degrees).toBeGreaterThan(4);
    expect(z).toBeLessThan(FAR);
    expect(z).toBeGreaterThan(-FAR);
  });

  it("is noticed where it looks at the accept test ahead (negative control)", async () => {
    // The prompt's token and the round's: where the rule acts.
    expect((await distance(() => fixedLength(1), samplingVerifier, 2)).z).toBeLessThan(FAR);
    expect((await distance(() => fixedLength(1), cheating, 2)).z).toBeGreaterThan(1.5 * FAR);
  });
});
