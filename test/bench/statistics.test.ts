import { describe, expect, it } from "vitest";
import {
  bootstrapInterval,
  discoveries,
  mulberry32,
  probabilityOfLower,
} from "../../src/bench/statistics.js";
import { median, quantile } from "../../src/quantiles.js";

/** Normal draws, by Box and Muller. */
function normals(random: () => number, count: number, mean = 0): number[] {
  return Array.from(
    { length: count },
    () => mean + Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

describe("quantiles", () => {
  it("are numpy's", () => {
    // numpy.percentile([7, 1, 4, 2], [0, 25, 50, 95, 100])
    const at = (p: number) => quantile([7, 1, 4, 2], p);
    expect([0, 0.25, 0.5, 0.95, 1].map(at)).toEqual([1, 1.75, 3, expect.closeTo(6.55), 7]);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBeNaN();
  });

  it("leave their argument as it is", () => {
    const values = Object.freeze([3, 1, 2]);
    expect(median(values)).toBe(2);
  });
});

describe("bootstrapInterval", () => {
  it("is the range of five values, and one value of one", () => {
    expect(bootstrapInterval([5, 1, 3, 2, 4])).toEqual([1, 5]);
    expect(bootstrapInterval([2])).toEqual([2, 2]);
  });

  it("holds the true median about as often as it says, and a median that is off seldom", () => {
    const random = mulberry32(1);
    const intervals = Array.from({ length: 200 }, () => bootstrapInterval(normals(random, 15)));
    const share = (value: number) =>
      intervals.filter(([low, high]) => low <= value && value <= high).length / 200;
    expect(share(0)).toBeGreaterThan(0.88);
    expect(share(1)).toBeLessThan(0.2);
  });
});

describe("probabilityOfLower", () => {
  it("is exact: one order of all when every value is lower", () => {
    expect(probabilityOfLower([1, 2, 3], [4, 5, 6])).toBeCloseTo(1 / 20);
    expect(probabilityOfLower([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).toBeCloseTo(1 / 252);
    expect(probabilityOfLower([4, 5, 6], [1, 2, 3])).toBeCloseTo(1);
  });

  it("is scipy's in between", () => {
    // scipy.stats.mannwhitneyu([1, 4, 6], [2, 3, 5, 7], alternative="less", method="exact")
    expect(probabilityOfLower([1, 4, 6], [2, 3, 5, 7])).toBeCloseTo(0.42857142857142855);
    expect(probabilityOfLower([1.1, 2.5, 3.7, 4.2], [2, 3, 5, 7, 9])).toBeCloseTo(0.14285714285714285);
  });

  it("finds no more in noise than its level, and a shift of one deviation mostly", () => {
    const random = mulberry32(2);
    const found = (shift: number) =>
      Array.from({ length: 400 }, () =>
        probabilityOfLower(normals(random, 8, -shift), normals(random, 8)),
      ).filter((p) => p < 0.05).length / 400;
    expect(found(0)).toBeLessThan(0.08);
    expect(found(1.5)).toBeGreaterThan(0.8);
  });
});

describe("discoveries", () => {
  it("are those of Benjamini and Hochberg's example", () => {
    const p = [
      0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528,
      0.759, 1,
    ];
    expect(discoveries(p, 0.05).filter(Boolean)).toHaveLength(4);
    expect(discoveries(p.toReversed(), 0.05).lastIndexOf(false)).toBe(10);
  });

  it("none of none, and none where nothing stands out", () => {
    expect(discoveries([], 0.05)).toEqual([]);
    expect(discoveries([0.04, 0.9], 0.05)).toEqual([false, false]);
  });
});
