import { describe, expect, it } from "vitest";
import { GREEDY, type SamplingOptions } from "../../src/speculative/sampling.js";
import { samplingVerifier } from "../../src/speculative/verifier.js";
import { floats, numbers } from "../mlx/helpers.js";
import { type AcceptRule, leviathan, withRule } from "../support/accept-rule.js";
import { referenceProbabilities } from "../support/reference-sampling.js";
import { chiSquare, FAR } from "../support/statistics.js";
import { countTexts, PAIR, sampledTexts, textProbabilities } from "../support/table-pair.js";

/** First and later tokens of one text. */
const LENGTH = 3;
const SEEDS = 1000;
/** Enough to see a wrong rule. */
const FEWER_SEEDS = 500;

const VOCAB = PAIR.target.length;

async function distance(
  cut: Partial<SamplingOptions>,
  draftTokens: number,
  { rule, seeds = SEEDS }: { readonly rule?: AcceptRule; readonly seeds?: number } = {},
) {
  const options = { ...GREEDY, temperature: 1, ...cut };
  const verifiers = Array.from({ length: seeds }, (_, seed) => {
    const verifier = samplingVerifier({ ...options, seed });
    return rule ? withRule(verifier, rule) : verifier;
  });
  const texts = await sampledTexts(PAIR, verifiers, { draftTokens, length: LENGTH });
  return chiSquare(countTexts(texts, VOCAB, LENGTH), textProbabilities(PAIR.target, options, LENGTH));
}

describe("drafted texts have the target's own joint distribution", () => {
  it.each<[string, number, Partial<SamplingOptions>]>([
    ["temperature 1", 1, {}],
    ["a low temperature", 2, { temperature: 0.6 }],
    ["a high temperature", 3, { temperature: 1.7 }],
    ["top-k", 2, { topK: 3 }],
    ["top-p", 2, { topP: 0.75 }],
    ["min-p", 3, { minP: 0.45 }],
    ["all cuts", 2, { temperature: 1.3, topK: 4, topP: 0.9, minP: 0.1 }],
  ])("with %s, K = %d", async (_, draftTokens, cut) => {
    const { z, degrees } = await distance(cut, draftTokens);
    expect(degrees).toBeGreaterThan(4);
    expect(z).toBeLessThan(FAR);
    // As far the other way would mean that the seeds are not independent.
    expect(z).toBeGreaterThan(-FAR);
  });
});

it("accepts by the right rule as the verifier does by itself", async () => {
  expect((await distance({}, 2, { rule: leviathan })).z).toBeLessThan(FAR);
});

describe("the test notices a wrong rule (negative controls)", () => {
  it.each<[string, AcceptRule]>([
    ["that accepts every draft", () => true],
    ["that accepts with the probability p", (p, _, u) => u < p],
    ["that accepts what the target finds likelier than the drafter", (p, q) => p >= q],
  ])("%s", async (_, rule) => {
    expect((await distance({}, 2, { rule, seeds: FEWER_SEEDS })).z).toBeGreaterThan(2 * FAR);
  });
});

describe("the drafter's pick", () => {
  it("is cut as the target is, with a key of its own for each position", async () => {
    const options = { ...GREEDY, temperature: 0.7, topK: 3, topP: 0.9, minP: 0.1, seed: 8 };
    const { pick } = samplingVerifier(options);
    if (pick.kind !== "sample") throw new Error("a sampling verifier samples");
    const logits = [2, 0.5, 1.5, 1.4, -1];
    const q = await numbers(pick.probabilities(floats(logits, [1, 5])));
    for (const [token, expected] of referenceProbabilities(logits, options).entries()) {
      expect(q[token]).toBeCloseTo(expected, 5);
    }
    expect(q.filter((share) => share > 0).length).toBeLessThan(4);
    expect(pick.key(4)).not.toEqual(pick.key(5));
  });
});

describe("a seed", () => {
  const texts = async (options: Partial<SamplingOptions>, draftTokens: number, seeds: readonly number[]) =>
    sampledTexts(
      PAIR,
      seeds.map((seed) => samplingVerifier({ ...GREEDY, temperature: 1, ...options, seed })),
      { draftTokens, length: 40 },
    );

  it("gives the same text again, and another one another", async () => {
    const [a, b, c] = await texts({}, 3, [5, 5, 6]);
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);
  });

  it("does not tie neighbours together", async () => {
    const seeds = Array.from({ length: 40 }, (_, i) => i);
    const all = await texts({}, 2, seeds);
    expect(new Set(all.map((text) => text.join())).size).toBe(seeds.length);
  });
});
