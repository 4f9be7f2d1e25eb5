import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StatsCollector } from "../../src/speculative/stats.js";

const times = { draft: 1, verify: 2, accept: 0.5, rest: 0.25 };
const run = {
  promptTokens: 10,
  cachedPromptTokens: 0,
  prefillMs: 5,
  timeToFirstTokenMs: 6,
  decodeMs: 100,
  draftTokens: 3,
  adaptive: null,
  exact: "measured" as const,
};

/** Rounds of K drafts of which `accepted` were kept. */
const rounds = fc.array(
  fc
    .integer({ min: 0, max: 6 })
    .chain((proposed) =>
      fc.record({ proposed: fc.constant(proposed), accepted: fc.integer({ min: 0, max: proposed }) }),
    ),
  { maxLength: 40 },
);

describe("StatsCollector", () => {
  it("adds up: tokens = first + sum of (accepted + 1), nothing past the stop", () => {
    fc.assert(
      fc.property(rounds, fc.nat(6), (list, cut) => {
        const stats = new StatsCollector();
        stats.addFirst();
        let own = 0;
        for (const [index, round] of list.entries()) {
          const full = round.accepted + 1;
          const emitted = index === list.length - 1 ? Math.max(1, full - cut) : full;
          if (emitted === full) own += 1;
          stats.addRound({ ...round, times }, emitted);
        }
        const sum = stats.summarize(run);
        expect(sum.tokens).toBe(1 + sum.accepted + own);
        expect(sum.targetSteps).toBe(list.length);
        expect(sum.accepted).toBeLessThanOrEqual(sum.proposed);
        if (own === list.length) {
          expect(sum.accepted).toBe(list.reduce((total, round) => total + round.accepted, 0));
          expect(sum.proposed).toBe(list.reduce((total, round) => total + round.proposed, 0));
        }
        expect(sum.times.verify).toBeCloseTo(2 * list.length);
      }),
    );
  });

  it("counts no draft past a stop", () => {
    const stats = new StatsCollector();
    stats.addFirst();
    stats.addRound({ proposed: 3, accepted: 3, times }, 2);
    const sum = stats.summarize(run);
    expect(sum).toMatchObject({ tokens: 3, proposed: 2, accepted: 2, acceptanceByPosition: [1, 1] });
  });

  it("tells acceptance by place in the draft", () => {
    const stats = new StatsCollector();
    stats.addFirst();
    stats.addRound({ proposed: 3, accepted: 3, times }, 4);
    stats.addRound({ proposed: 3, accepted: 1, times }, 2);
    stats.addRound({ proposed: 1, accepted: 0, times }, 1);
    const sum = stats.summarize(run);
    expect(sum.acceptanceByPosition).toEqual([2 / 3, 1 / 2, 1 / 2]);
    expect(sum.acceptanceRate).toBeCloseTo(4 / 7);
    expect(sum.tokensPerStep).toBeCloseTo(7 / 3);
    expect(sum.tokensPerSecond).toBeCloseTo(70);
    expect(sum.promptTokensPerSecond).toBeCloseTo(2000);
  });

  it("has the prompt's speed from what was processed of it", () => {
    const sum = new StatsCollector().summarize({ ...run, cachedPromptTokens: 6 });
    expect(sum).toMatchObject({ promptTokens: 10, cachedPromptTokens: 6 });
    expect(sum.promptTokensPerSecond).toBeCloseTo(800);
  });

  it("has no NaN where nothing happened", () => {
    const sum = new StatsCollector().summarize({ ...run, prefillMs: 0, decodeMs: 0 });
    expect(JSON.stringify({ ...sum, adaptive: undefined })).not.toContain("null");
    expect(sum.tokensPerStep).toBe(0);
  });
});
