import { describe, expect, it } from "vitest";
import type { MlxArray } from "../../src/mlx/array.js";
import type { NativePackedWeight, NativeQuantization } from "../../src/mlx/native.js";
import * as ops from "../../src/mlx/ops.js";
import { PACKINGS, type PackedTensor, packedTensor } from "../support/packed.js";
import { arraysOf, floatsOf } from "../support/tensors.js";
import { randoms, sameBits, valuesOf } from "../target/helpers.js";
import { floats } from "./helpers.js";

const ROWS = 5;
const COLUMNS = 128;

function load(tensor: PackedTensor, how: NativeQuantization): NativePackedWeight {
  const { weight, scales, biases } = tensor;
  const arrays = arraysOf(new Map(Object.entries({ weight, scales, ...(biases ? { biases } : {}) })));
  const named = (name: string): MlxArray => {
    const array = arrays.get(name);
    if (!array) throw new Error(name);
    return array;
  };
  return {
    ...how,
    weight: named("weight"),
    scales: named("scales"),
    biases: biases ? named("biases") : null,
  };
}

describe.each(PACKINGS)("$mode, $bits bits in groups of $groupSize", (how) => {
  const tensor = packedTensor([ROWS, COLUMNS], how, randoms(how.bits * how.groupSize));
  const expected = floatsOf(tensor.values);
  const packed = load(tensor, how);

  it.each(["float32", "bfloat16", "float16"] as const)(
    "is unpacked to the values it holds: %s",
    async (dtype) => {
      const found = ops.dequantize(packed, dtype);
      expect([found.dtype, found.shape]).toEqual([dtype, [ROWS, COLUMNS]]);
      expect(await valuesOf(found)).toEqual(expected);
    },
  );

  it("is multiplied as those values are, a row alone as among others", async () => {
    const random = randoms(7);
    const x = Array.from({ length: 3 * COLUMNS }, () => random(256) / 64 - 2);
    const found = await valuesOf(ops.linear(floats(x, [1, 3, COLUMNS]), packed));
    expect(found).toHaveLength(3 * ROWS);
    for (const [place, value] of found.entries()) {
      const row = Math.floor(place / ROWS) * COLUMNS;
      const column = (place % ROWS) * COLUMNS;
      let sum = 0;
      for (let i = 0; i < COLUMNS; i++) sum += (x[row + i] ?? 0) * (expected[column + i] ?? 0);
      expect(Math.abs(value - sum)).toBeLessThan(1e-4);
    }
    const alone = ops.linear(floats(x.slice(COLUMNS, 2 * COLUMNS), [1, COLUMNS]), packed);
    expect(sameBits(await valuesOf(alone), found.subarray(ROWS, 2 * ROWS))).toBe(true);
  });
});

describe("a packed weight that contradicts itself", () => {
  const how: NativeQuantization = { groupSize: 32, bits: 4, mode: "affine" };
  const right = load(packedTensor([ROWS, COLUMNS], how, randoms(1)), how);
  const x = floats(new Array(COLUMNS).fill(1), [1, COLUMNS]);

  it.each<[string, Partial<NativePackedWeight>, RegExp]>([
    ["no biases", { biases: null }, /biases like the scales/],
    ["biases in another mode", { mode: "mxfp4" }, /uint8 scales/],
    ["groups of another size", { groupSize: 64 }, /one scale for each group/],
    ["seven bits", { bits: 7 }, /2, 3, 4, 5, 6 or 8 bits/],
    ["another width", { bits: 8 }, /one scale for each group/],
    ["float words", { weight: right.scales }, /packed uint32/],
  ])("%s", (_, change, message) => {
    expect(() => ops.linear(x, { ...right, ...change })).toThrow(message);
    expect(() => ops.dequantize({ ...right, ...change }, "float32")).toThrow(message);
  });

  it("an unknown mode", () => {
    const unknown: string = "int4";
    expect(() => Reflect.apply(ops.linear, null, [x, { ...right, mode: unknown }])).toThrow(/mode/);
  });

  it("another number of inputs", () => {
    expect(() => ops.linear(floats([1, 2], [1, 2]), right)).toThrow(/expected x/);
  });
});
