import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import type { StoredDtype } from "../../src/checkpoint/types.js";
import { decodePlain, decodeRun, patternValues } from "../../src/inspect/values/decode.js";
import { type Encoded, runAt, type Stored } from "../../src/inspect/values/encoding.js";
import { compareValues } from "../../src/inspect/values/error-sums.js";
import { empty, type Moments, mergeMoments, ofPatterns, ofValues } from "../../src/inspect/values/moments.js";
import { temporaryFolder } from "../checkpoint/helpers.js";
import { PACKINGS, packedTensor } from "../support/packed.js";
import { floatsOf, integerTensor, type StoredTensor, writeSafetensors } from "../support/tensors.js";
import { randoms } from "../target/helpers.js";

const random = randoms(3);

function stored(file: string, name: string): Stored {
  const info = readSafetensorsHeader(file).get(name);
  if (!info) throw new Error(`no ${name}`);
  return info;
}

describe("decoding", () => {
  it.each(PACKINGS)("$mode, $bits bits in groups of $groupSize", async (quantization) => {
    const shape = [2, 3, 256];
    const packed = packedTensor(shape, quantization, random);
    const file = join(temporaryFolder(), "packed.safetensors");
    const tensors = new Map<string, StoredTensor>([
      // Whatever stands before moves the others to odd places.
      ["a", integerTensor(Uint8Array.of(1, 2, 3), [3])],
      ["weight", packed.weight],
      ["scales", packed.scales],
      ...(packed.biases ? [["biases", packed.biases] as const] : []),
    ]);
    writeSafetensors(file, tensors);
    const encoded: Encoded = {
      kind: "packed",
      quantization,
      weight: stored(file, "weight"),
      scales: stored(file, "scales"),
      ...(packed.biases ? { biases: stored(file, "biases") } : {}),
    };
    const expected = floatsOf(packed.values);
    expect(await decodeRun({ encoded, start: 0, values: expected.length })).toEqual(expected);
    const part = await decodeRun({ encoded, start: 512, values: 256 });
    expect(part).toEqual(expected.slice(512, 768));
  });

  it.each<[StoredDtype, ArrayBufferView, number[]]>([
    ["float32", Float32Array.of(1.5, -2), [1.5, -2]],
    ["float64", Float64Array.of(0.1), [0.1]],
    ["int8", Int8Array.of(-128, 127), [-128, 127]],
    ["int16", Int16Array.of(-300), [-300]],
    ["uint16", Uint16Array.of(65_535), [65_535]],
    ["int32", Int32Array.of(-(2 ** 31)), [-(2 ** 31)]],
    ["uint32", Uint32Array.of(2 ** 32 - 1), [2 ** 32 - 1]],
    ["int64", BigInt64Array.of(-5n, 262_143n), [-5, 262_143]],
    ["uint64", BigUint64Array.of(7n), [7]],
    ["uint8", Uint8Array.of(0, 255), [0, 255]],
    ["bool", Uint8Array.of(0, 1), [0, 1]],
    [
      "bfloat16",
      Uint16Array.of(0x3f80, 0xc040, 0x7f80, 0x0001),
      [1, -3, Number.POSITIVE_INFINITY, 2 ** -133],
    ],
    ["float16", Uint16Array.of(0x3c00, 0xc200, 0xfc00, 0x0001), [1, -3, Number.NEGATIVE_INFINITY, 2 ** -24]],
    ["float8_e4m3", Uint8Array.of(0x38, 0x7e, 0x7f, 0x01), [1, 448, Number.NaN, 2 ** -9]],
    ["float8_e5m2", Uint8Array.of(0x3c, 0x7b, 0x7c, 0x01), [1, 57_344, Number.POSITIVE_INFINITY, 2 ** -16]],
  ])("%s", (dtype, view, expected) => {
    const bytes = new Uint8Array(view.buffer, 0, view.byteLength);
    expect([...decodePlain(bytes, dtype)]).toEqual(expected);
  });

  it("knows NaN in both 16-bit formats", () => {
    expect(patternValues("bfloat16")[0x7fc0]).toBeNaN();
    expect(patternValues("float16")[0x7e00]).toBeNaN();
  });
});

describe("runs of a selection", () => {
  const encoded: Encoded = { kind: "plain", stored: { file: "f", stamp: "", offset: 0, dtype: "float32" } };

  it("take every value of it once, in order", () => {
    fc.assert(
      fc.property(
        fc.nat(20),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(9),
        fc.nat(4),
        fc.integer({ min: 1, max: 7 }),
        (start, block, gap, blocks, most) => {
          const selection = { encoded, start, block, stride: block + gap, values: blocks * block };
          const taken: number[] = [];
          for (let from = 0; from < selection.values; ) {
            const run = runAt(selection, from, most);
            expect(run.values).toBeGreaterThan(0);
            for (let i = 0; i < run.values; i++) taken.push(run.start + i);
            from += run.values;
          }
          const expected = Array.from(
            { length: blocks * block },
            (_, i) => start + Math.floor(i / block) * (block + gap) + (i % block),
          );
          expect(taken).toEqual(expected);
        },
      ),
    );
  });
});

/** What the sums of a run must be, one value after the other. */
function naive(values: readonly number[], columns: number) {
  const finite = values.filter(Number.isFinite);
  const squares = (pick: (i: number) => number) => {
    const sums: number[] = [];
    for (const [i, value] of values.entries()) {
      const at = pick(i);
      sums[at] = (sums[at] ?? 0) + (Number.isFinite(value) ? value ** 2 : 0);
    }
    return sums;
  };
  return {
    values: finite.length,
    zeros: finite.filter((value) => value === 0).length,
    nan: values.filter(Number.isNaN).length,
    inf: values.length - finite.length - values.filter(Number.isNaN).length,
    min: Math.min(...finite),
    max: Math.max(...finite),
    sum: finite.reduce((sum, value) => sum + value, 0),
    columns: squares((i) => i % columns),
    rows: squares((i) => Math.floor(i / columns)),
  };
}

function expectSums(sums: Moments, expected: ReturnType<typeof naive>): void {
  const { values, zeros, nan, inf, min, max } = expected;
  const { min: least, max: most } = sums;
  expect(sums).toMatchObject({ values, zeros, nan, inf });
  // Which zero of both is of no interest.
  expect([least + 0, most + 0]).toEqual([min + 0, max + 0]);
  expect(sums.sum).toBeCloseTo(expected.sum, 6);
  for (const [i, sum] of expected.columns.entries()) expect(sums.columns[i]).toBeCloseTo(sum, 6);
  for (const [i, sum] of expected.rows.entries()) expect(sums.rows[i]).toBeCloseTo(sum, 6);
  expect(sums.sumSquares).toBeCloseTo(
    expected.rows.reduce((all, sum) => all + sum, 0),
    5,
  );
}

describe("moments", () => {
  // Small numbers with few digits, zeros, and what is not finite.
  const patterns = fc.array(
    fc.oneof(
      fc.integer({ min: 0x3f00, max: 0x40ff }),
      fc.integer({ min: 0xbf00, max: 0xc0ff }),
      fc.constantFrom(0, 0x8000, 0x7fc0, 0x7f80, 0xff80),
    ),
    { minLength: 1, maxLength: 60 },
  );

  it("of patterns and of values are those of one value after the other, in whatever runs they come", () => {
    fc.assert(
      fc.property(patterns, fc.integer({ min: 1, max: 9 }), fc.nat(60), (data, columns, cut) => {
        const table = patternValues("bfloat16");
        const values = data.map((pattern) => table[pattern] ?? 0);
        const expected = naive(values, columns);
        const split = Math.min(cut, data.length);
        const all = Uint16Array.from(data);
        const runs = [
          (from: number, to: number) => ofPatterns(all.slice(from, to), "bfloat16", { from, columns }),
          (from: number, to: number) =>
            ofValues(Float32Array.from(values.slice(from, to)), { from, columns }),
        ];
        for (const run of runs) {
          expectSums(run(0, data.length), expected);
          const sums = empty("bfloat16", data.length, 0, columns);
          mergeMoments(sums, run(0, split));
          mergeMoments(sums, run(split, data.length));
          expectSums(sums, expected);
          expect(sums.patterns.reduce((sum, times) => sum + times, 0)).toBe(data.length);
        }
      }),
    );
  });
});

describe("errors", () => {
  it("are those of the pairs, NaN left out", () => {
    const sums = compareValues(
      Float32Array.of(1, 2, Number.NaN, Number.NaN, 4),
      Float32Array.of(1, 3, Number.NaN, 0, 2),
    );
    expect(sums).toEqual({
      values: 5,
      unequal: 3,
      notFinite: 2,
      maxAbs: 2,
      sumSquaredError: 5,
      sumSquares: 21,
      sumSquaresOther: 14,
      sumProducts: 15,
    });
  });
});
