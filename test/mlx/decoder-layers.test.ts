import { describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import type { NativeLayerReads } from "../../src/mlx/native.js";
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
const { DecoderLayers } = addon();
const LAYER = () => ({ attention: ATTENTION(), feedForward: FEED_FORWARD(), reads: 0 });
const h = () => floats([3, -3], [1, 1, 2]);
const table = () => floats([1, 0], [2, 1, 1]);
const keys = () => floats([0, 1, 2, 3], [1, 1, 2, 2]);
const values = () => floats([4, 0, 8, 0], [1, 1, 2, 2]);
const READS = (): NativeLayerReads[] => [[table(), keys(), values()]];

describe("decoder layers", () => {
  it("are attention, then the MLP", async () => {
    const layer = new DecoderLayers([LAYER()]);
    const output = layer.forward(h(), READS());
    expect(output.shape).toEqual([1, 1, 2]);
    const found = await numbers(output);
    // The mean of the values is (6, 0), normed (√2, 0); gelu(10 …) · 3 … in the first place, normed the same.
    expect(found[0]).toBeCloseTo(2 * (3 + 2 * Math.SQRT2), 4);
    expect(found[1]).toBeCloseTo(-6, 4);
  });

  it("come one after the other, each with what it reads", async () => {
    const [first, second] = [new DecoderLayers([LAYER()]), new DecoderLayers([LAYER()])];
    const other: NativeLayerReads = [table(), keys(), floats([0, 3, 0, -1], [1, 1, 2, 2])];
    const both = new DecoderLayers([LAYER(), { ...LAYER(), reads: 1 }]);
    const expected = await numbers(second.forward(first.forward(h(), READS()), [other]));
    expect(await numbers(both.forward(h(), [...READS(), other]))).toEqual(expected);
    expect(await numbers(both.forward(h(), [...READS(), ...READS()]))).not.toEqual(expected);
  });

  it("refuse what is no weight", () => {
    const broken = (change: object) => () => new DecoderLayers([{ ...LAYER(), ...change }]);
    expect(() => new DecoderLayers(1 as never)).toThrow("list");
    expect(() => new DecoderLayers([1 as never])).toThrow("object");
    expect(broken({ attention: 1 })).toThrow("object");
    const { gateProj: _, ...lacking } = FEED_FORWARD();
    expect(broken({ feedForward: lacking })).toThrow();
    expect(broken({ attention: { ...ATTENTION(), qNorm: 5 } })).toThrow("array");
    expect(broken({ attention: { ...ATTENTION(), qNorm: floats([1]) } })).toThrow("another length");
    expect(broken({ feedForward: { ...FEED_FORWARD(), upProj: floats([3], [1, 1]) } })).toThrow("length");
  });

  it("refuse what they can't read", () => {
    const layers = new DecoderLayers([LAYER(), { ...LAYER(), reads: 1 }]);
    expect(() => layers.forward(h(), READS())).toThrow("not there");
    expect(() => layers.forward(h(), [[table(), keys()] as never])).toThrow("rope table, keys and values");
    expect(() => layers.forward(h(), 1 as never)).toThrow("list");
    expect(() => layers.forward(floats([1], [1, 1, 1]), [...READS(), ...READS()])).toThrow("(1, T, H)");
  });

  it("say so when they are disposed, and let a step that was built be", async () => {
    const layer = new DecoderLayers([LAYER()]);
    const output = layer.forward(h(), READS());
    layer.dispose();
    layer.dispose();
    expect(() => layer.forward(h(), READS())).toThrow("the layers are disposed");
    expect((await numbers(output))[1]).toBeCloseTo(-6, 4);
  });

  it("are nothing else", () => {
    const layer = new DecoderLayers([LAYER()]);
    expect(() => layer.forward.call({} as never, h(), READS())).toThrow();
    expect(() => layer.forward.call(h() as never, h(), READS())).toThrow();
  });
});
