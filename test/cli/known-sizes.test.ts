import { describe, expect, it } from "vitest";
import { resolveTarget } from "../../src/checkpoint/config.js";
import { targetWeights } from "../../src/checkpoint/expected-weights.js";
import { KNOWN_PAIRS } from "../../src/checkpoint/known-pairs.js";
import { bf16Bytes, CONTEXT, fourBitBytes, KNOWN_SIZES } from "../../src/cli/known-sizes.js";
import { REAL_SHAPES } from "../support/real-shapes.js";

const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

describe("the sizes that models tells", () => {
  it("are there for each published pair", () => {
    expect(KNOWN_PAIRS.map(({ size }) => size)).toEqual(Object.keys(KNOWN_SIZES));
  });

  it.each(Object.keys(REAL_SHAPES))("of %s are those of its shapes", (size) => {
    const config = resolveTarget({ file: "config.json", config: REAL_SHAPES[size] });
    const weights = targetWeights(config);
    const parameters = sum(weights.map(({ shape }) => count(shape)));
    const packed = sum(weights.filter(({ kind }) => kind === "matrix").map(({ shape }) => count(shape)));
    const cacheBytes = sum(
      config.layers.map(({ type, kvSource, numKvHeads, headDim }, index) => {
        const positions = type === "full_attention" ? CONTEXT : Math.min(CONTEXT, config.slidingWindow);
        return kvSource === index ? 2 * numKvHeads * headDim * 2 * positions : 0;
      }),
    );
    // The experts' stacked weights are packed too, under other names.
    const known = KNOWN_SIZES[size];
    expect(known).toMatchObject({ parameters, cacheBytes });
    const split = targetWeights(config, "split").filter(({ kind }) => kind === "matrix");
    expect(known?.packed).toBe(sum(split.map(({ shape }) => count(shape))));
    expect(known?.packed).toBeGreaterThanOrEqual(packed);
  });

  it("are 2 bytes a parameter in bf16, and 4.5 bits in 4 bit", () => {
    const size = { parameters: 6400, packed: 6400, cacheBytes: 0 };
    expect(bf16Bytes(size)).toBe(12_800);
    expect(fourBitBytes(size)).toBe((6400 * 4.5) / 8);
    expect(fourBitBytes({ ...size, parameters: 6410 })).toBe((6400 * 4.5) / 8 + 20);
  });
});
