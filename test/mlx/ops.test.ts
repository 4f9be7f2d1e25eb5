import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import type { MlxArray } from "../../src/mlx/array.js";
import type { NativeOps, RandomKey } from "../../src/mlx/native.js";
import * as ops from "../../src/mlx/ops.js";
import { chiSquare, FAR } from "../support/statistics.js";
import { floats, ints, numbers } from "./helpers.js";

const infinity = Number.POSITIVE_INFINITY;
const CUTS: ops.Cuts = { temperature: 1, topK: 0, topP: 1, minP: 0 };
const KEYS: readonly RandomKey[] = [
  [1, 2],
  [1, 3],
  [1, 4],
];

/** Tested in quantized-ops.test.ts. */
const PACKED = ["dequantize", "quantize"] as const;

/** Every operation on small numbers that a reader can follow. */
const CASES: {
  readonly [name in Exclude<keyof NativeOps, (typeof PACKED)[number]>]: readonly [
    () => MlxArray,
    readonly number[],
    readonly number[],
  ];
} = {
  add: [() => ops.add(floats([1, 2]), floats([10])), [11, 12], [2]],
  multiply: [() => ops.multiply(floats([1, 2]), floats([3, 4])), [3, 8], [2]],
  divide: [() => ops.divide(floats([1, 0]), floats([4, 1])), [0.25, 0], [2]],
  exp: [() => ops.exp(floats([0, -infinity])), [1, 0], [2]],
  scalar: [() => ops.scalar(-infinity, "float32"), [-infinity], []],
  zeros: [() => ops.zeros([2, 1], "int32"), [0, 0], [2, 1]],
  astype: [() => ops.astype(floats([1.75, -1.75]), "int32"), [1, -1], [2]],
  reshape: [() => ops.reshape(ints([1, 2, 3, 4]), [2, -1]), [1, 2, 3, 4], [2, 2]],
  slice: [() => ops.slice(ints([1, 2, 3, 4], [2, 2]), [0, 1], [2, 2]), [2, 4], [2, 1]],
  concatenate: [() => ops.concatenate([ints([1, 2], [2, 1]), ints([3, 4], [2, 1])], 1), [1, 3, 2, 4], [2, 2]],
  take: [() => ops.take(ints([1, 2, 3, 4], [2, 2]), ints([1, 0]), 0), [3, 4, 1, 2], [2, 2]],
  takeAlongAxis: [() => ops.takeAlongAxis(ints([5, 6, 7], [1, 3]), ints([2], [1, 1]), 1), [7], [1, 1]],
  putAlongAxis: [
    () => ops.putAlongAxis(ints([5, 6, 7], [1, 3]), ints([2, 0], [1, 2]), ints([1, 2], [1, 2]), 1),
    [2, 6, 1],
    [1, 3],
  ],
  max: [() => ops.max(floats([1, 2, 3, 4], [2, 2]), 0, false), [3, 4], [2]],
  min: [() => ops.min(floats([1, 2, 3, 4], [2, 2]), -1, false), [1, 3], [2]],
  argmax: [() => ops.argmax(floats([1, 7, 7, 2, 5, 6, 8, 8], [2, 4])), [1, 2], [2]],
  largestToken: [() => ops.largestToken(floats([1, 7, 7], [1, 3]), ints([4, 5, 6], [1, 3])), [5], [1, 1]],
  linear: [() => ops.linear(floats([1, 2], [1, 2]), floats([1, 0, 0, 1, 1, 1], [3, 2])), [1, 2, 3], [1, 3]],
  joinedLinear: [
    () => ops.joinedLinear([floats([1], [1, 1]), floats([2, 3], [1, 2])], floats([1, 0, 0, 1, 1, 1], [2, 3])),
    [1, 6],
    [1, 2],
  ],
  rmsNorm: [() => ops.rmsNorm(floats([3, -3], [1, 2]), floats([1, 10]), 0), [1, -10], [1, 2]],
  // Position 1 turns the first pair by a quarter, the second not at all.
  ropeTable: [() => ops.ropeTable(floats([Math.PI / 2, 0]), 1, "float32"), [0, 1, 1, 0], [2, 1, 2]],
  topClusters: [
    () => {
      const best = ops.topClusters(floats([1, 0], [1, 1, 2]), floats([1, 9, 3, 9, 2, 9], [3, 2]), 2);
      return ops.concatenate([ops.min(best, 0, true), ops.max(best, 0, true)], 0);
    },
    [1, 2],
    [2],
  ],
  clusterScores: [
    () => {
      const centroids = floats([0, 0, 1, 0], [2, 2]);
      const table = floats([1, 0, 2, 0, 3, 0, 4, 0], [4, 2]);
      const [logits, tokens] = ops.clusterScores(
        floats([1, 0], [1, 1, 2]),
        centroids,
        1,
        table,
        ints([7, 5, 6, 4]),
      );
      if (!logits || !tokens) throw new Error("no scores");
      return ops.concatenate([logits, ops.astype(tokens, "float32")], 0);
    },
    [3, 4, 6, 4],
    [2, 2],
  ],
  bestClusterToken: [
    () =>
      ops.bestClusterToken(
        floats([1, 0], [1, 1, 2]),
        floats([0, 0, 1, 0], [2, 2]),
        1,
        floats([1, 0, 2, 0, 4, 0, 3, 0], [4, 2]),
        ints([7, 5, 6, 4]),
      ),
    [6],
    [1, 1],
  ],
  probabilities: [
    () => ops.probabilities(floats([0, Math.log(3), -9, 5, 5, 4.9]), { ...CUTS, topK: 2, temperature: 0.5 }),
    [0, 0, 0, 0.5, 0.5, 0],
    [6],
  ],
  draw: [() => ops.draw(floats([0, 0.3, 0], [1, 3]), ints([7, 8, 9], [1, 3]), [1, 2]), [8], [1, 1]],
  // The first draft is what p has alone; the second it never has.
  judge: [
    () =>
      ops.judge(
        floats([0, 1, 0, 1, 0, 0, 0, 0, 1], [1, 3, 3]),
        {
          tokens: ints([1, 2], [1, 2]),
          distributions: [
            { tokens: ints([1, 0], [1, 2]), probabilities: floats([0.25, 0.75], [1, 2]) },
            { tokens: ints([2], [1, 1]), probabilities: floats([1], [1, 1]) },
          ],
        },
        { accept: KEYS.slice(1), next: KEYS },
      ),
    [1, 2, 1, 0, 1, 0, 2],
    [7],
  ],
};

describe("operations", () => {
  it.each(Object.entries(CASES))("%s", async (_, [make, expected, shape]) => {
    const array = make();
    expect(array.shape).toEqual(shape);
    const found = await numbers(array);
    expect(found).toHaveLength(expected.length);
    for (const [i, value] of expected.entries()) {
      if (Number.isFinite(value)) expect(found[i]).toBeCloseTo(value, 5);
      else expect(found[i]).toBe(value);
    }
  });

  it("are those of the addon, no more and no fewer", () => {
    expect(Object.keys(addon().ops).sort()).toEqual([...Object.keys(CASES), ...PACKED].sort());
  });

  it("give dtypes that the callers rely on", () => {
    expect(CASES.argmax[0]().dtype).toBe("int32");
    expect(CASES.probabilities[0]().dtype).toBe("float32");
    expect(CASES.draw[0]().dtype).toBe("int32");
    expect(CASES.judge[0]().dtype).toBe("int32");
    const half = ops.zeros([1, 2], "bfloat16");
    expect(ops.rmsNorm(half, null, 1e-6).dtype).toBe("bfloat16");
    expect(ops.linear(half, ops.zeros([3, 2], "bfloat16")).dtype).toBe("bfloat16");
  });

  it("refuse arguments of another type", () => {
    const native = addon().ops;
    const zero = ops.zeros([1], "float32");
    expect(() => native.zeros([1], "float8" as "float32")).toThrow('unknown dtype "float8"');
    expect(() => native.zeros(["1"] as unknown as number[], "float32")).toThrow("list of numbers");
    expect(() => native.concatenate([zero], 0.5)).toThrow("integer");
    expect(() => native.max(zero, 0, 1 as unknown as boolean)).toThrow("true or false");
    expect(() => native.concatenate({} as unknown as MlxArray[], 0)).toThrow("list of arrays");
    expect(() => native.draw(zero, null, 5 as unknown as [number, number])).toThrow("key");
    expect(() => native.concatenate([zero, zero], 7)).toThrow(/axis/i);
    expect(() => native.linear(zero, {} as unknown as MlxArray)).toThrow("array");
  });
});

describe("draws", () => {
  const WEIGHTS = [0.05, 0, 0.15, 0.3, 0, 0.5];
  const draws = async (keys: readonly RandomKey[]) => {
    const weights = floats(WEIGHTS, [1, WEIGHTS.length]);
    return numbers(
      ops.concatenate(
        keys.map((key) => ops.draw(weights, null, key)),
        1,
      ),
    );
  };
  const keysOf = (seed: number, count: number) =>
    Array.from({ length: count }, (_, position): RandomKey => [seed, position]);

  it("are the same for the same key, and others for another word of it", async () => {
    const first = await draws(keysOf(1, 100));
    expect(await draws(keysOf(1, 100))).toEqual(first);
    expect(await draws(keysOf(2, 100))).not.toEqual(first);
    expect(await draws(keysOf(2 ** 32 - 1, 100))).not.toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(2);
  });

  it("are as frequent as their weights, for one key's seed and for many", async () => {
    const count = 2000;
    for (const keys of [keysOf(5, count), keysOf(5, count).map(([seed, i]): RandomKey => [i, seed])]) {
      const found = await draws(keys);
      const counts = WEIGHTS.map((_, place) => found.filter((other) => other === place).length);
      expect(chiSquare(counts, WEIGHTS).z).toBeLessThan(FAR);
    }
  });
});
