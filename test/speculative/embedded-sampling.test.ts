import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedPair, load } from "../../src/load.js";
import { evaluate, fromInt32, type MlxArray, readInt32, scope } from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";
import { conclude } from "../../src/speculative/accept.js";
import { firstToken } from "../../src/speculative/round.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import { greedyVerifier, samplingVerifier, type Verifier } from "../../src/speculative/verifier.js";
import type { TargetSession } from "../../src/target/target.js";
import { withRule } from "../support/accept-rule.js";
import { run } from "../support/generation.js";
import { referenceProbabilities } from "../support/reference-sampling.js";
import { chiSquare, FAR } from "../support/statistics.js";
import { valuesOf } from "../target/helpers.js";

let pair: LoadedPair;
let promptIds: number[];

beforeAll(async () => {
  pair = await load({ draft: "assistant", threads: 1 });
  promptIds = await pair.encodePrompt("Tell me a story about a fox.");
});

afterAll(() => pair[Symbol.dispose]());

describe("a seed, on the embedded pair", () => {
  const sampled = async (seed: number, draftTokens: number) =>
    (await run(pair, { promptIds, temperature: 0.9, topP: 0.95, seed, draftTokens, maxTokens: 60 })).tokenIds;

  it("gives the same tokens again, another seed others", async () => {
    const first = await sampled(3, 3);
    expect(await sampled(3, 3)).toEqual(first);
    expect(await sampled(4, 3)).not.toEqual(first);
  });

  it("gives the same tokens again without drafts", async () => {
    expect(await sampled(3, 0)).toEqual(await sampled(3, 0));
  });

  it("matters not when only one token is left, whatever the drafts", async () => {
    // Each token is far ahead of the second: where two are equal, top-k 1 keeps both.
    const promptIds = await pair.encodePrompt("What is a fox?");
    const greedy = await run(pair, { promptIds, draftTokens: 3, maxTokens: 60 });
    const one = await run(pair, {
      ...{ promptIds, draftTokens: 3, maxTokens: 60 },
      ...{ temperature: 2, topK: 1, seed: 9 },
    });
    expect(one.tokenIds).toEqual(greedy.tokenIds);
    expect(one.stats.accepted).toBe(greedy.stats.accepted);
  });
});

describe("the token after a drafted round's bonus, over many seeds", () => {
  const DRAFTS = 2;
  const SEEDS = 1000;
  const OPTIONS = { ...GREEDY, temperature: 3, topK: 16, minP: 0.01 };
  let session: TargetSession;
  let bonus: number;
  let hidden: MlxArray;
  /** The target's own. */
  let exact: number[];

  beforeAll(async () => {
    session = pair.target.openSession(DRAFTS + 1);
    const start = await session.prefill(Int32Array.from(promptIds));
    ({ bonus, hidden } = await firstToken(start, greedyVerifier, promptIds.length));
    const { logits } = session.step(fromInt32(Int32Array.of(bonus), [1, 1]));
    exact = referenceProbabilities([...(await valuesOf(logits))], OPTIONS);
    session.keep(0);
  });

  afterAll(() => session[Symbol.dispose]());

  /** One round as the loop does it; all of it is dropped again. */
  async function round(verifier: Verifier) {
    const { verdict, pending } = scope(() => {
      const token = fromInt32(Int32Array.of(bonus), [1, 1]);
      const proposal = pair.drafter?.propose({
        bonus: token,
        hidden,
        sharedKv: session.sharedKv(),
        position: session.position,
        steps: DRAFTS,
        embed: (tokens) => pair.target.embed(tokens),
        pick: verifier.pick,
      });
      if (!proposal?.tokens) throw new Error("nothing was proposed");
      const position = session.position;
      const { logits } = session.step(ops.concatenate([token, proposal.tokens], 1));
      return { verdict: verifier.judge(logits, proposal, position), pending: session.pending() };
    });
    await evaluate([[verdict, ...pending]]);
    const result = conclude(verifier.read(readInt32(verdict)));
    for (const array of [verdict, ...pending]) array.dispose();
    session.keep(0);
    return result;
  }

  async function counted(verifierOf: (seed: number) => Verifier, seeds: number) {
    const counts = exact.map(() => 0);
    let accepted = 0;
    for (let seed = 0; seed < seeds; seed++) {
      const { tokens, accepted: kept } = await round(verifierOf(seed));
      const [first = -1] = tokens;
      counts[first] = (counts[first] ?? 0) + 1;
      if (kept > 0) accepted += 1;
    }
    return { ...chiSquare(counts, exact), accepted: accepted / seeds };
  }

  it("has the target's own probabilities", async () => {
    const { z, degrees, accepted } = await counted((seed) => samplingVerifier({ ...OPTIONS, seed }), SEEDS);
    expect(degrees).toBeGreaterThan(8);
    // Drafts were kept and dropped: both ways to a token were tried.
    expect(accepted).toBeGreaterThan(0.1);
    expect(accepted).toBeLessThan(0.95);
    expect(z).toBeLessThan(FAR);
  });

  it("has the drafter's when every draft is accepted (negative control)", async () => {
    const always = (seed: number) => withRule(samplingVerifier({ ...OPTIONS, seed }), () => true);
    const { z } = await counted(always, 400);
    expect(z).toBeGreaterThan(2 * FAR);
  });
});
