import { describe, expect, it } from "vitest";
import { MAX_DRAFT_TOKENS } from "../../src/options.js";
import { Acceptance } from "../../src/speculative/acceptance.js";
import { AdaptiveLength, fixedLength, newMemory } from "../../src/speculative/draft-length.js";
import { MeasuredCosts } from "../../src/speculative/round-costs.js";
import { bestFixed, COSTS, grid, measuredAuto, simulate, textOf } from "./simulation.js";

describe("auto against the best fixed K, on a clock of its own", () => {
  const rows = grid(2000, 3);

  it("takes little longer, wherever that K is", () => {
    const worst = rows.reduce((a, b) => (b.ratio > a.ratio ? b : a));
    const mean = rows.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / rows.length;
    expect(worst.ratio, JSON.stringify(worst)).toBeLessThan(1.03);
    expect(Math.exp(mean)).toBeLessThan(1.015);
    // No K is the best everywhere: the grid asks for all sorts.
    expect(new Set(rows.map(({ best }) => best)).size).toBeGreaterThan(5);
  });

  it("is never more than 2% slower than plain decoding", () => {
    for (const row of rows) expect(row.againstPlain, JSON.stringify(row)).toBeLessThan(1.02);
  });

  it("is noticed where it chooses badly (negative control)", () => {
    const always = grid(500, 1, 1, () => () => fixedLength(3));
    expect(Math.max(...always.map(({ ratio }) => ratio))).toBeGreaterThan(2);
    expect(Math.max(...always.map(({ againstPlain }) => againstPlain))).toBeGreaterThan(1.5);
  });
});

describe("auto where things change", () => {
  it("comes back to drafting when the text becomes easy, and leaves it when it becomes hard", () => {
    const text = textOf(3000, 5, (position) => (position < 1000 ? 0.05 : position < 2000 ? 0.95 : 0.05));
    const costOf = COSTS["usual drafter"];
    const { ms } = simulate([text], costOf, measuredAuto());
    // Better than any K that does not change.
    expect(ms).toBeLessThan(bestFixed([text], costOf).ms);
  });

  it("does not take a machine that becomes slow for costly drafts", () => {
    const auto = new AdaptiveLength(MAX_DRAFT_TOKENS, newMemory());
    const chosen: number[] = [];
    for (let round = 0; round < 300; round++) {
      const k = auto.choose(100);
      chosen.push(k);
      const slow = round > 100 && round < 200 ? 3 : 1;
      auto.record({ proposed: k, accepted: Math.min(k, 4), ms: slow * COSTS["usual drafter"](k) });
    }
    expect(chosen.slice(100).filter((k) => k === 0).length).toBeLessThan(5);
  });

  it("starts with what the pair's last generation left", () => {
    const memory = newMemory();
    const costOf = COSTS["a row costs a step"];
    const hard = (seed: number) => textOf(100, seed, () => 0.2);
    const first = simulate([hard(1)], costOf, measuredAuto(memory));
    const later = simulate([hard(2), hard(3), hard(4)], costOf, measuredAuto(memory));
    expect(later.ms / 3).toBeLessThan(first.ms);
    expect(later.ms).toBeLessThan(1.04 * 3 * 99);
  });
});

describe("AdaptiveLength", () => {
  it("proposes no more than there is room for", () => {
    const auto = new AdaptiveLength(MAX_DRAFT_TOKENS);
    for (let round = 0; round < 50; round++) {
      const room = round % 4;
      const k = auto.choose(room);
      expect(k).toBeLessThanOrEqual(room);
      auto.record({ proposed: k, accepted: k, ms: 1 });
    }
  });

  it("chooses by outcomes alone without a memory, whatever the clock says", () => {
    const choices = (clock: (round: number) => number) => {
      const auto = new AdaptiveLength(MAX_DRAFT_TOKENS);
      return Array.from({ length: 200 }, (_, round) => {
        const k = auto.choose(60);
        auto.record({ proposed: k, accepted: Math.min(k, (round * 7) % 5), ms: clock(round) });
        return k;
      });
    };
    expect(choices((round) => 1 + 100 * (round % 3))).toEqual(choices(() => 1));
    expect(new Set(choices(() => 1)).size).toBeGreaterThan(2);
  });

  it("tells what it saved from its own plain rounds, and nothing without them", () => {
    const costOf = COSTS["usual drafter"];
    const auto = new AdaptiveLength(MAX_DRAFT_TOKENS, newMemory());
    expect(auto.summarize()).toEqual({ costs: "measured", msByDraftTokens: [], speedUp: null });
    const text = textOf(1000, 3, () => 0.8);
    const { ms } = simulate([text], costOf, () => auto);
    const { speedUp, msByDraftTokens } = auto.summarize();
    // The clock that it sees is late now and then, which the medians of plain rounds are not.
    const told = (speedUp ?? 0) / ((text.length - 1) / ms);
    expect(Math.abs(told - 1)).toBeLessThan(0.12);
    expect(msByDraftTokens[0]).toBeCloseTo(1, 0);
    expect(new AdaptiveLength(3).summarize()).toMatchObject({ costs: "nominal", speedUp: null });
    expect(fixedLength(3).summarize()).toBeNull();
  });
});

describe("Acceptance", () => {
  it("expects what it saw, place by place", () => {
    const acceptance = new Acceptance();
    for (let round = 0; round < 400; round++) acceptance.add(3, round % 2 === 0 ? 3 : 1);
    const [none = 0, one = 0, two = 0, three = 0] = acceptance.expectedTokens(3);
    expect(none).toBe(1);
    expect(one).toBeCloseTo(2, 1);
    expect(two).toBeCloseTo(2.5, 0);
    expect(three).toBeCloseTo(3, 0);
  });

  it("forgets: a text that changes counts for what it is now", () => {
    const acceptance = new Acceptance();
    for (let round = 0; round < 200; round++) acceptance.add(4, 0);
    expect(acceptance.expectedTokens(4)[4]).toBeLessThan(1.1);
    for (let round = 0; round < 12; round++) acceptance.add(4, 4);
    expect(acceptance.expectedTokens(4)[4]).toBeGreaterThan(3);
  });

  it("takes an unseen place for the one before it", () => {
    const acceptance = new Acceptance();
    for (let round = 0; round < 100; round++) acceptance.add(2, 2);
    const tokens = acceptance.expectedTokens(8);
    expect(tokens[8]).toBeGreaterThan(7);
  });
});

describe("MeasuredCosts", () => {
  it("finds the shape of costs through a stray round and a machine that changes its speed", () => {
    const costs = new MeasuredCosts();
    for (let round = 0; round < 400; round++) {
      const k = round % 16 === 5 ? 0 : round % 16 === 9 ? 6 : 3;
      const speed = round < 200 ? 1 : 2.5;
      const stray = round % 41 === 3 ? 8 : 1;
      costs.add(k, 2 * (1 + 0.4 * k) * speed * stray);
    }
    expect(costs.of(3) / costs.of(0)).toBeCloseTo(2.2, 1);
    expect(costs.of(6) / costs.of(0)).toBeCloseTo(3.4, 0);
    expect(costs.of(3)).toBeCloseTo(2 * 2.2 * 2.5, 0);
    expect(costs.of(4)).toBeGreaterThan(costs.of(3));
    expect(costs.of(4)).toBeLessThan(costs.of(6));
  });

  it("comes back to the line where a K was tried long ago, when it was slow", () => {
    const costs = new MeasuredCosts();
    const learn = (k: number, ms: number, rounds: number) => {
      for (let round = 0; round < rounds; round++)
        costs.add(round % 4 === 0 ? 0 : k, round % 4 === 0 ? 1 : ms);
    };
    for (let round = 0; round < 6; round++) {
      costs.add(0, 1);
      costs.add(2, 3);
    }
    const before = costs.of(2) / costs.of(0);
    learn(1, 1.3, 400);
    learn(3, 1.9, 800);
    expect(before).toBeGreaterThan(2.5);
    expect(costs.of(2) / costs.of(0)).toBeLessThan(2);
    expect(costs.samples(2)).toBeLessThan(1);
  });

  it("takes no time for none", () => {
    const costs = new MeasuredCosts();
    for (const ms of [0, Number.NaN, -1]) costs.add(2, ms);
    expect(costs.samples(2)).toBe(0);
  });
});
