import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAssistant, openTarget } from "../../src/checkpoint/index.js";
import { Gemma4Assistant } from "../../src/drafter/gemma4-assistant.js";
import { fromInt32, type MlxArray } from "../../src/mlx/array.js";
import type { NativeQuantization } from "../../src/mlx/native.js";
import { Gemma4Target } from "../../src/target/gemma4-target.js";
import { liveArrays, settledArrays } from "../mlx/helpers.js";
import { overVocabulary } from "../support/over-vocabulary.js";
import { writeAssistant, writeTarget } from "../support/tiny-checkpoint.js";
import { TINY } from "../support/tiny-target.js";
import type { Packing } from "../support/tiny-writer.js";
import { distance, valuesOf } from "../target/helpers.js";

const folder = mkdtempSync(join(tmpdir(), "mlx-gemma-packed-"));
afterAll(() => rmSync(folder, { recursive: true }));

const affine = (bits: number, groupSize: number): NativeQuantization => ({ bits, groupSize, mode: "affine" });
const isTable = (module: string) => module.includes("masked_embedding");

const packings: [string, Packing][] = [
  ["4 bits", (module) => (isTable(module) ? undefined : affine(4, 32))],
  ["8 bits", (module) => (isTable(module) ? undefined : affine(8, 64))],
  ["3 bits", (module) => (isTable(module) ? undefined : affine(3, 128))],
  ["mxfp4", (module) => (isTable(module) ? undefined : { bits: 4, groupSize: 32, mode: "mxfp4" })],
  ["the embedding alone", (module) => (module === "model.embed_tokens" ? affine(6, 64) : undefined)],
  [
    "all but the embedding",
    (module) => (isTable(module) || module === "model.embed_tokens" ? undefined : affine(4, 64)),
  ],
  ["everything, centroids too", () => affine(8, 32)],
];

describe.each(["dense", "centroid"] as const)("a packed assistant with the %s head", (head) => {
  let target: Gemma4Target;
  let inputs: { embedding: MlxArray; hidden: MlxArray; sharedKv: object; position: number };

  beforeAll(async () => {
    target = await Gemma4Target.load(openTarget(writeTarget(join(folder, `target-${head}`), {})), {
      dtype: "float32",
    });
    const session = target.openSession(4);
    // Past the window.
    const prompt = Int32Array.from({ length: TINY.window + 5 }, (_, i) => (i * 29 + 3) % TINY.vocab);
    const { lastHidden } = await session.prefill(prompt);
    const embedding = target.embed(fromInt32(Int32Array.of(17), [1, 1]));
    inputs = { embedding, hidden: lastHidden, sharedKv: session.sharedKv(), position: session.position };
  });

  afterAll(() => target[Symbol.dispose]());

  const load = (packing: Packing, plain: boolean, dtype: "float32" | "bfloat16") => {
    const path = join(folder, `assistant-${head}`);
    writeAssistant(path, { head, experts: false, packing, plain });
    return Gemma4Assistant.load(openAssistant(path), { dtype });
  };

  /** Two chained steps: logits over the vocabulary, and hidden. */
  async function steps(assistant: Gemma4Assistant): Promise<Float32Array[]> {
    const first = assistant.step(inputs);
    const second = assistant.step({ ...inputs, hidden: first.hidden });
    const found: Float32Array[] = [];
    for (const { h, hidden } of [first, second]) {
      found.push(await overVocabulary(assistant.head.scores(h), TINY.vocab), await valuesOf(hidden));
    }
    return found;
  }

  it.each(packings)("computes with the values that are packed: %s", async (_, packing) => {
    using packed = await load(packing, false, "float32");
    const found = await steps(packed);
    using plain = await load(packing, true, "float32");
    const expected = await steps(plain);
    for (const [i, values] of expected.entries()) {
      expect(values.some((value) => value !== 0)).toBe(true);
      expect(distance(found[i] ?? new Float32Array(), values)).toBeLessThan(1e-4);
    }
  });

  it("does so in bfloat16", async () => {
    const packing: Packing = (module) => (isTable(module) ? undefined : affine(4, 32));
    using packed = await load(packing, false, "bfloat16");
    const [logits = new Float32Array()] = await steps(packed);
    using plain = await load(packing, true, "bfloat16");
    const [expected = new Float32Array()] = await steps(plain);
    if (head === "dense") expect(distance(logits, expected)).toBeLessThan(0.05);
    // A rounding may take another cluster, whose tokens have other scores: most must still be the same.
    const near = expected.filter(
      (value, i) => Math.abs(value - (logits[i] ?? 0)) < 0.05 * Math.abs(value) + 0.5,
    );
    expect(near.length).toBeGreaterThan(0.7 * TINY.vocab);
  });

  it("notices other packed values (negative control)", async () => {
    const packing: Packing = (module) => (isTable(module) ? undefined : affine(4, 32));
    using packed = await load(packing, false, "float32");
    const found = await steps(packed);
    const path = writeAssistant(join(folder, "other"), { head, experts: false, packing, seed: 3 });
    using other = await Gemma4Assistant.load(openAssistant(path), { dtype: "float32" });
    for (const [i, values] of (await steps(other)).entries()) {
      expect(distance(found[i] ?? new Float32Array(), values)).toBeGreaterThan(0.1);
    }
  });

  it("gives its memory back", async () => {
    const before = await settledArrays();
    for (const [, packing] of packings) {
      const assistant = await load(packing, false, "float32");
      expect(liveArrays()).toBeGreaterThan(before + 30);
      assistant[Symbol.dispose]();
    }
    expect(liveArrays()).toBe(before);
  });
});

describe("a packed assistant's centroids", () => {
  it("become floats at load, and are warned of", async () => {
    const path = join(folder, "centroids");
    writeAssistant(path, { head: "centroid", experts: false, packing: () => affine(8, 32) });
    const checkpoint = openAssistant(path);
    expect(checkpoint.weights.warnings).toEqual([
      { code: "packed-centroids", message: expect.stringContaining("centroids") },
    ]);
    using assistant = await Gemma4Assistant.load(checkpoint);
    expect(assistant.head).toHaveProperty("clusters");
  });
});
