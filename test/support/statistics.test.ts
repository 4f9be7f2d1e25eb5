import { describe, expect, it } from "vitest";
import { chiSquare, holm, pValue } from "./statistics.js";

describe("pValue", () => {
  // scipy.stats.chi2.sf
  it.each([
    [0.5, 1, 0.47950012218695337],
    [3.841, 1, 0.0500134787],
    [10, 1, 0.0015654022580025488],
    [2, 2, 0.36787944117144245],
    [11.07, 5, 0.05000961],
    [30, 12, 0.0027924292],
    [130, 124, 0.33826429],
    [60, 31, 0.00134979],
  ])("of %d with %d degrees is scipy's", (statistic, degrees, expected) => {
    expect(pValue({ statistic, degrees, z: 0 })).toBeCloseTo(expected, 5);
  });

  it("is 0 where something came that cannot, and 1 where there is nothing to tell", () => {
    expect(pValue(chiSquare([5, 1], [1, 0]))).toBe(0);
    expect(pValue({ statistic: 0, degrees: 0, z: 0 })).toBe(1);
  });
});

describe("holm", () => {
  it("corrects by rank and never turns the order round", () => {
    const found = holm([0.01, 0.04, 0.03, 0.005]);
    for (const [i, expected] of [0.03, 0.06, 0.06, 0.02].entries())
      expect(found[i]).toBeCloseTo(expected, 10);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });
});
