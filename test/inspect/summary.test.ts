import { beforeAll, describe, expect, it } from "vitest";
import { folderFiles } from "../../src/checkpoint/files.js";
import { bf16Bytes, fourBitBytes, KNOWN_SIZES } from "../../src/cli/known-sizes.js";
import { type Inspected, inspectFiles } from "../../src/inspect/open.js";
import type { Summary } from "../../src/inspect/schema.js";
import { summarize } from "../../src/inspect/summary.js";
import { treeOf } from "../../src/inspect/tree.js";
import { sparseCheckpoint } from "./sparse.js";

const opened = (...which: Parameters<typeof sparseCheckpoint>): Promise<Inspected> =>
  inspectFiles(folderFiles(sparseCheckpoint(...which)));

const part = (summary: Summary, name: string) => summary.parts.find((one) => one.part === name);

describe.each(["bf16", "4bit"] as const)("what a %s checkpoint is", (format) => {
  it.each(["E2B", "E4B", "12B", "26B-A4B", "31B"] as const)("has the parameters of %s", async (size) => {
    const inspected = await opened(size, "target", format);
    const summary = summarize(inspected, 100e9);
    expect(inspected.findings).toEqual([]);
    const known = KNOWN_SIZES[size];
    expect(summary.parameters.total).toBe(known?.parameters);
    expect(summary.parts.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(known?.parameters);
    expect(summary.weightBytes).toBe(known && (format === "bf16" ? bf16Bytes(known) : fourBitBytes(known)));
    const { layers, hiddenSizePerLayerInput } = summary.model;
    // The table of per-layer embeddings: vocabulary × layers × 256, in E2B and E4B alone.
    const table = 262_144 * layers.length * hiddenSizePerLayerInput;
    expect(summary.parameters.effective).toBe(summary.parameters.total - table);
  });

  it("counts the experts of a token alone as active, and as read", async () => {
    const summary = summarize(await opened("26B-A4B", "target", format), 100e9);
    const experts = part(summary, "experts");
    const { active, effective, total } = summary.parameters;
    expect(effective).toBe(total);
    expect(active).toBeLessThan(effective - 0.9 * (experts?.parameters ?? 0));
    const [first] = summary.contexts;
    expect(first?.bytesPerToken).toBeLessThan(summary.weightBytes - 0.9 * (experts?.bytes ?? 0));
    expect(experts?.bitsPerParameter).toBeCloseTo(format === "bf16" ? 16 : 4.5, 1);
  });

  it("knows an assistant: 11 tensors a layer, its head, its backbone", async () => {
    const e4b = summarize(await opened("E4B", "assistant", format), 100e9).model;
    expect(e4b).toMatchObject({
      kind: "assistant",
      backboneHiddenSize: 2560,
      tensorsPerLayer: [11, 11, 11, 11],
    });
    expect(e4b.head).toEqual({ type: "centroid", numCentroids: 2048, topK: 32, candidates: 4096 });
    const dense = summarize(await opened("31B", "assistant", format), 100e9).model;
    expect(dense.head).toMatchObject({ type: "dense", candidates: 262_144 });
  });
});

describe("memory", () => {
  let summary: Summary;
  beforeAll(async () => {
    summary = summarize(await opened("31B", "target", "bf16"), 200e9);
  });

  it("of K/V grows with the context on full layers, and up to the window on sliding ones", () => {
    const { layers, slidingWindow } = summary.model;
    const expected = (context: number) =>
      layers.reduce(
        (sum, { type, numKvHeads, headDim }) =>
          sum +
          2 *
            2 *
            numKvHeads *
            headDim *
            (type === "full_attention" ? context : Math.min(context, slidingWindow)),
        0,
      );
    expect(summary.contexts.map(({ context, kvCacheBytes }) => [context, kvCacheBytes])).toEqual(
      [1024, 8192, 131_072].map((context) => [context, expected(context)]),
    );
  });

  it("bounds the speed by what is read", () => {
    for (const { readLimit, bytesPerToken, memoryBytes } of summary.contexts) {
      expect(readLimit).toBeCloseTo(200e9 / bytesPerToken, 9);
      expect(memoryBytes).toBe(bytesPerToken);
    }
  });

  it("counts keys that layers share once where they are kept, and for each layer where they are read", async () => {
    const { model, contexts } = summarize(await opened("E2B", "target", "bf16"), 1);
    const { layers, slidingWindow } = model;
    const read = (context: number) =>
      layers.reduce((sum, { type, numKvHeads, headDim }) => {
        const keys = type === "full_attention" ? context : Math.min(context, slidingWindow);
        return sum + 2 * 2 * numKvHeads * headDim * keys;
      }, 0);
    const weights = contexts.map(({ context, bytesPerToken }) => bytesPerToken - read(context));
    expect(new Set(weights).size).toBe(1);
    for (const { context, kvCacheBytes } of contexts) expect(kvCacheBytes).toBeLessThan(read(context));
  });
});

it("the published sizes' K/V at 4096 positions are the known ones", async () => {
  // One formula, two places: this one and the table of `models`.
  const { kvCacheBytes } = await import("../../src/inspect/memory.js");
  const { resolveTarget } = await import("../../src/checkpoint/config.js");
  const { REAL_SHAPES } = await import("../support/real-shapes.js");
  for (const [size, { cacheBytes }] of Object.entries(KNOWN_SIZES)) {
    const config = resolveTarget({ file: "config.json", config: REAL_SHAPES[size] });
    expect(kvCacheBytes(config, 2, 4096)).toBe(cacheBytes);
  }
});

it("the tree shows layers that are alike once, with the sum of all", async () => {
  const inspected = await opened("31B", "target", "bf16");
  const { tree } = treeOf(inspected, "*language_model*");
  const bytes = tree.reduce((sum, node) => sum + node.bytes, 0);
  const layers = tree[0]?.children.find(({ name }) => name === "layers")?.children ?? [];
  expect(layers.length).toBe(2);
  expect(layers.reduce((sum, { times }) => sum + times, 0)).toBe(summarize(inspected, 1).model.layers.length);
  expect(layers.map(({ name }) => name)).toEqual([
    "0-4, 6-10, 12-16, 18-22, 24-28, 30-34, 36-40, 42-46, 48-52, 54-58",
    "5, 11, 17, 23, 29, 35, 41, 47, 53, 59",
  ]);
  expect(bytes).toBe(
    [...inspected.survey.tensors].reduce(
      (sum, [name, info]) => sum + (name.includes("language_model") ? info.bytes : 0),
      0,
    ),
  );
});
