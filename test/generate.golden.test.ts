import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedPair, load } from "../src/load.js";
import { firstDifference, record, run } from "./support/generation.js";
import { readDrafts } from "./support/golden-drafts.js";
import { goldenFolder, PAIRS } from "./target/helpers.js";

const DRAFTS = [1, 2, 3, 4, 5, 6];
const CHUNKS = [1, 7, 512];
const grid = DRAFTS.flatMap((draftTokens) => CHUNKS.map((chunkSize) => ({ draftTokens, chunkSize })));

describe.each(PAIRS)("generate against the reference's greedy text, far past the window: %s", (name) => {
  const { promptIds, greedyIds, draft, slidingWindow, report } = readDrafts(name);
  const maxTokens = greedyIds.length;
  let pair: LoadedPair;

  beforeAll(async () => {
    const folder = goldenFolder(name);
    pair = await load({ model: join(folder, "target"), draft: join(folder, "assistant"), dtype: "f32" });
  });

  afterAll(() => pair[Symbol.dispose]());

  const generated = (draftTokens: number, chunkSize = 512) =>
    run(pair, { promptIds, draftTokens, chunkSize, maxTokens, ignoreEos: true });

  it("is plain decoding's, and goes past the window", async () => {
    expect(promptIds.length + maxTokens).toBeGreaterThan(8 * slidingWindow);
    const { tokenIds, stats } = await generated(0);
    expect(tokenIds).toEqual(greedyIds);
    expect(stats).toMatchObject({ tokens: maxTokens, targetSteps: maxTokens - 1, proposed: 0, accepted: 0 });
  });

  it.each(grid)("is drafted with K = $draftTokens, prompt in chunks of $chunkSize", async (how) => {
    const { tokenIds, stats } = await generated(how.draftTokens, how.chunkSize);
    expect(firstDifference(tokenIds, greedyIds)).toBeUndefined();
    expect(stats.tokens).toBe(maxTokens);
    expect(stats.targetSteps).toBeLessThan(maxTokens - 1);
    expect(stats.tokens).toBe(1 + stats.accepted + stats.targetSteps);
  });

  // Wrong keys, positions or hidden rows leave the text as it is and show here alone.
  it("accepts as many drafts as the reference with K/V cut right", async () => {
    const { stats } = await generated(3);
    // The reference's count ends a round earlier.
    expect(Math.abs(stats.acceptanceRate - report.acceptanceRateK3)).toBeLessThan(0.003);
  });

  it("accepts in the first round what the reference accepts", async () => {
    const round = draft.find(({ position }) => position === promptIds.length);
    if (round?.accepted === undefined) throw new Error("no golden round at the prompt's end");
    // Room for the first token and one whole round of six drafts.
    const { steps } = await record(pair, { promptIds, draftTokens: 6, maxTokens: 8, ignoreEos: true });
    expect(steps[0]).toEqual(greedyIds.slice(0, 1));
    expect(steps[1]).toEqual(greedyIds.slice(1, 1 + round.accepted + 1));
  });
});
