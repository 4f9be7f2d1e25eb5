import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as ops from "../../src/mlx/ops.js";
import {
  checkSampling,
  DRAW,
  drawKey,
  GREEDY,
  type SamplingOptions,
} from "../../src/speculative/sampling.js";
import { floats, numbers } from "../mlx/helpers.js";
import { referenceProbabilities } from "../support/reference-sampling.js";

const PLAIN: SamplingOptions = { ...GREEDY, temperature: 1 };

/** Rows of probabilities, by the code under test. */
async function probabilities(
  rows: readonly (readonly number[])[],
  options: SamplingOptions,
): Promise<number[][]> {
  const width = rows[0]?.length ?? 0;
  const all = await numbers(ops.probabilities(floats(rows.flat(), [rows.length, width]), options));
  return rows.map((_, row) => all.slice(row * width, (row + 1) * width));
}

async function expectReference(rows: readonly (readonly number[])[], options: SamplingOptions) {
  for (const [row, found] of (await probabilities(rows, options)).entries()) {
    const expected = referenceProbabilities(rows[row] ?? [], options);
    for (const [token, p] of found.entries()) {
      // What is cut has no mass at all.
      if (expected[token] === 0) expect(p, `token ${token}`).toBe(0);
      else expect(p, `token ${token}`).toBeCloseTo(expected[token] ?? Number.NaN, 5);
    }
  }
}

const TIES = [1, 3, 3, 2, 3, 0, 2, -1];
const cuts: [string, Partial<SamplingOptions>][] = [
  ["nothing cut", {}],
  ["a temperature below one", { temperature: 0.3 }],
  ["a high temperature", { temperature: 5 }],
  ["top-k 1", { topK: 1 }],
  ["top-k that ends among equals", { topK: 2 }],
  ["top-k that ends between groups", { topK: 3 }],
  ["top-k past the vocabulary", { topK: 100 }],
  ["top-p that one token reaches", { topP: 0.01 }],
  ["top-p that ends among equals", { topP: 0.5 }],
  ["top-p near one", { topP: 0.999 }],
  ["min-p", { minP: 0.3 }],
  ["min-p 1", { minP: 1 }],
  ["all of them", { temperature: 0.8, topK: 6, topP: 0.9, minP: 0.05 }],
];

describe("probabilities after the cuts", () => {
  it.each(cuts)("with %s are the reference's", async (_, cut) => {
    await expectReference([TIES, [...TIES].reverse(), [0, 0, 0, 0, 0, 0, 0, 0]], { ...PLAIN, ...cut });
  });

  it("take the smallest set that reaches top-p, not one token more", async () => {
    const logits = [Math.log(2), 0, -0.5];
    const [first = 0] = referenceProbabilities(logits, PLAIN);
    expect(await probabilities([logits], { ...PLAIN, topP: first - 1e-6 })).toEqual([[1, 0, 0]]);
    const [more] = await probabilities([logits], { ...PLAIN, topP: first + 1e-6 });
    expect(more?.map((p) => p > 0)).toEqual([true, true, false]);
  });

  it("keep the most likely token, however small top-p", async () => {
    const [found] = await probabilities([[0, 1, 0.5]], { ...PLAIN, topP: 1e-9 });
    expect(found).toEqual([0, 1, 0]);
  });

  it("are float32 also for narrow logits, and survive large ones", async () => {
    await expectReference([[30, -30, 29.5, 0]], { ...PLAIN, temperature: 0.1, topP: 0.95 });
  });

  it("leave the most likely tokens alone, however low the temperature", async () => {
    for (const temperature of [1e-30, 1e-39, 1e-300]) {
      expect(await probabilities([[-3, -2, -2.5, -2]], { ...PLAIN, temperature })).toEqual([
        [0, 0.5, 0, 0.5],
      ]);
    }
  });

  const options = fc.record({
    temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
    topK: fc.integer({ min: 0, max: 14 }),
    topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
    minP: fc.double({ min: 0, max: 0.9, noNaN: true }),
  });
  // Whole numbers: many ties, and no logits so near that rounding decides.
  const row = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 12, maxLength: 12 });

  it("are the reference's for any cuts, row by row", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 4 }), options, async (rows, cut) => {
        fc.pre(!rows.some((logits) => onTheEdge(logits, cut)));
        await expectReference(rows, { ...PLAIN, ...cut });
      }),
      { numRuns: 300, seed: 11 },
    );
  });
});

/** Whether a cut falls so near a token that float32 may decide otherwise. */
function onTheEdge(
  logits: readonly number[],
  cut: Pick<SamplingOptions, "temperature" | "topK" | "topP" | "minP">,
): boolean {
  const moved = [-1e-4, 1e-4].map((by) =>
    referenceProbabilities(logits, {
      ...PLAIN,
      ...cut,
      topP: cut.topP < 1 ? Math.min(0.99999, cut.topP + by) : 1,
      minP: cut.minP > 0 ? Math.max(1e-9, cut.minP + by) : 0,
    }).map((p) => p > 0),
  );
  return JSON.stringify(moved[0]) !== JSON.stringify(moved[1]);
}

describe("keys", () => {
  it("differ for every seed, position and purpose", () => {
    const keys = [0, 1, 2 ** 32 - 1].flatMap((seed) =>
      [0, 1, 2, 1000].flatMap((position) =>
        Object.values(DRAW).map((purpose) => drawKey(seed, position, purpose).join()),
      ),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("checkSampling", () => {
  it.each([
    [{ temperature: -0.1 }, /temperature must be a number from 0 to 100; got -0.1/],
    [{ temperature: Number.NaN }, /temperature .* got NaN/],
    [{ topK: 1.5 }, /top-k must be a whole number of at least 0; got 1.5/],
    [{ topP: 0 }, /top-p must be above 0; got 0/],
    [{ topP: 1.1 }, /top-p must be a number from 0 to 1; got 1.1/],
    [{ minP: 2 }, /min-p must be a number from 0 to 1; got 2/],
    [{ seed: 2 ** 32 }, /seed must be a whole number from 0 to 4294967295; got 4294967296/],
    [{ seed: -1 }, /seed .* got -1/],
  ])("refuses %o", (wrong, message) => {
    expect(() => checkSampling({ ...PLAIN, ...wrong })).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringMatching(message) }),
    );
  });

  it("takes the ends of each range", () => {
    const ends = { temperature: 100, topK: 0, topP: 1, minP: 1, seed: 2 ** 32 - 1 };
    expect(checkSampling(ends)).toBe(ends);
  });
});
