import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import type { NativeAttentionWeights, NativeFeedForwardWeights } from "../../src/mlx/native.js";
import { floats, numbers } from "./helpers.js";

/** A layer of width 2, whose projections a reader can follow. */
const ONES = () => floats([1, 1]);
const ATTENTION = () => ({
  inputLayernorm: ONES(),
  qProj: floats([0, 0, 0, 0], [2, 2]), // A query of 0 sees the mean.
  qNorm: ONES(),
  oProj: floats([1, 0, 0, 1], [2, 2]),
  postAttentionLayernorm: ONES(),
  numHeads: 1,
  eps: 1e-12,
  scale: 1,
});
const FEED_FORWARD = () => ({
  preFeedforwardLayernorm: ONES(),
  gateProj: floats([10, 0], [1, 2]),
  upProj: floats([3, 0], [1, 2]),
  downProj: floats([1, 0], [2, 1]),
  postFeedforwardLayernorm: ONES(),
  layerScalar: floats([2]),
  eps: 1e-12,
});
const { DecoderLayer } = addon();
const h = () => floats([3, -3], [1, 1, 2]);
const table = () => floats([1, 0], [2, 1, 1]);
const keys = () => floats([0, 1, 2, 3], [1, 1, 2, 2]);
const values = () => floats([4, 0, 8, 0], [1, 1, 2, 2]);

describe("a decoder layer", () => {
  it("is attention, then the MLP", async () => {
    const layer = new DecoderLayer(ATTENTION(), FEED_FORWARD());
    const output = layer.forward(h(), table(), keys(), values());
    expect(output.shape).toEqual([1, 1, 2]);
    const found = await numbers(output);
    // The mean of the values is (6, 0), normed (√2, 0); gelu(10 …) · 3 … in the first place, normed the same.
    expect(found[0]).toBeCloseTo(2 * (3 + 2 * Math.SQRT2), 4);
    expect(found[1]).toBeCloseTo(-6, 4);
  });

  it("refuses what is no weight", () => {
    expect(() => new DecoderLayer(1 as unknown as NativeAttentionWeights, FEED_FORWARD())).toThrow("object");
    const { gateProj: _, ...lacking } = FEED_FORWARD();
    expect(() => new DecoderLayer(ATTENTION(), lacking as unknown as NativeFeedForwardWeights)).toThrow();
    expect(() => new DecoderLayer({ ...ATTENTION(), qNorm: 5 as never }, FEED_FORWARD())).toThrow("array");
  });

  it("says so when it is disposed, and lets a step that was built be", async () => {
    const layer = new DecoderLayer(ATTENTION(), FEED_FORWARD());
    const output = layer.forward(h(), table(), keys(), values());
    layer.dispose();
    layer.dispose();
    expect(() => layer.forward(h(), table(), keys(), values())).toThrow("the layer is disposed");
    expect((await numbers(output))[1]).toBeCloseTo(-6, 4);
  });

  it("is nothing but a layer", () => {
    const layer = new DecoderLayer(ATTENTION(), FEED_FORWARD());
    expect(() => layer.forward.call({} as never, h(), table(), keys(), values())).toThrow();
    expect(() => layer.forward.call(h() as never, h(), table(), keys(), values())).toThrow();
  });
});
