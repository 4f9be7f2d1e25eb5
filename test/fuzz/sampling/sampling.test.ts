import { describe, expect, it } from "vitest";
import { WRONG_VERIFIERS } from "../../support/wrong-verifiers.js";
import { CUTS, compareDistributions, DRAFTS } from "./sampling.js";

const SEEDS = 150;
/** Of one cell alone. */
const MORE_SEEDS = 1000;
/** The chance that right sampling is found wrong by other seeds; these are fixed. */
const ALPHA = 0.01;

describe("drafted texts have the target's distribution", () => {
  // `npm run fuzz:sampling` takes every K with every combination.
  it("under every combination of temperature, top-k, top-p and min-p, with every K in turn", async () => {
    const cells = CUTS.map((cuts, i) => ({ ...cuts, draftTokens: DRAFTS[i % DRAFTS.length] ?? 1 }));
    const rows = await compareDistributions(cells, { seeds: SEEDS });
    expect(rows.filter(({ corrected }) => corrected < ALPHA)).toEqual([]);
    expect(rows.filter(({ degrees }) => degrees > 2).length).toBeGreaterThan(rows.length / 2);
    // Right samples have p-values all over: neither are they too good.
    const below = rows.filter(({ p }) => p < 0.5).length / rows.length;
    expect(Math.abs(below - 0.5)).toBeLessThan(0.25);
  });

  it("where K depends on what is written", async () => {
    const byLast = (text: readonly number[]) => (3 * (text.at(-1) ?? 0) + text.length) % 4;
    const rows = await compareDistributions([{ ...OPEN, draftTokens: byLast }], { seeds: MORE_SEEDS });
    expect(Math.min(...rows.map(({ corrected }) => corrected))).toBeGreaterThan(ALPHA);
  });
});

/** All of p counts. */
const OPEN = { temperature: 1, topK: 0, topP: 1, minP: 0 };

describe("the test notices (negative controls)", () => {
  it.each(Object.entries(WRONG_VERIFIERS))("that %s", async (_, verifierOf) => {
    const rows = await compareDistributions([{ ...OPEN, draftTokens: 2 }], {
      seeds: MORE_SEEDS,
      verifierOf,
    });
    expect(Math.min(...rows.map(({ corrected }) => corrected))).toBeLessThan(ALPHA / 100);
  });
});
