import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedPair, load } from "../../src/load.js";
import { run } from "../support/generation.js";

let pair: LoadedPair;
let promptIds: number[];
beforeAll(async () => {
  pair = await load({ draft: "assistant" });
  promptIds = await pair.encodePrompt("Tell me a story about a fox.");
});
afterAll(() => pair[Symbol.dispose]());

describe("auto, the default with an assistant", () => {
  it("writes the ids of plain decoding, whatever K it takes, and accounts for it", async () => {
    const plain = await run(pair, { promptIds, draftTokens: 0, maxTokens: 90 });
    for (let answer = 0; answer < 3; answer++) {
      const { tokenIds, stats } = await run(pair, { promptIds, maxTokens: 90 });
      expect(tokenIds).toEqual(plain.tokenIds);
      expect(stats.draftTokens).toBe("auto");
      expect(stats.adaptive).toMatchObject({ costs: "measured" });
      const sum = (counts: readonly number[]) => counts.reduce((total, n) => total + n, 0);
      expect(sum(stats.roundsByDraftTokens)).toBe(stats.targetSteps);
      expect(sum(stats.proposedByPosition)).toBe(stats.proposed);
      const accepted = stats.acceptanceByPosition.map(
        (share, i) => share * (stats.proposedByPosition[i] ?? 0),
      );
      expect(sum(accepted)).toBeCloseTo(stats.accepted, 6);
    }
  });

  it("gives a seed the same text, whatever the machine did before", async () => {
    const options = { promptIds, temperature: 0.9, seed: 5, maxTokens: 60 };
    const { tokenIds, stats } = await run(pair, options);
    await run(pair, { promptIds, maxTokens: 30 });
    const again = await run(pair, options);
    expect(again.tokenIds).toEqual(tokenIds);
    expect(again.stats.roundsByDraftTokens).toEqual(stats.roundsByDraftTokens);
    expect(stats.adaptive).toEqual({ costs: "nominal", msByDraftTokens: [], speedUp: null });
  });

  it("is refused without an assistant, where it was asked for, and for other words", async () => {
    const { drafter: _, ...alone } = pair;
    const without = await run(alone, { promptIds, maxTokens: 3 });
    expect(without.stats).toMatchObject({ draftTokens: 0, adaptive: null });
    await expect(run(alone, { promptIds, draftTokens: "auto" })).rejects.toThrow(
      /draft-tokens is auto, but no assistant/,
    );
    await expect(run(pair, { promptIds, draftTokens: 16 })).rejects.toThrow(
      /auto or a whole number from 0 to 15/,
    );
  });
});
