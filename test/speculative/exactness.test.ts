import { describe, expect, it } from "vitest";
import { openTarget } from "../../src/checkpoint/index.js";
import { EMBEDDED_TARGET } from "../../src/checkpoint/locate.js";
import * as ops from "../../src/mlx/ops.js";
import { checkExactness, exactnessOf, rowsEqualBlocks } from "../../src/speculative/exactness.js";
import { Gemma4Target } from "../../src/target/gemma4-target.js";
import type { StepOutput, Target } from "../../src/target/target.js";
import { rejected } from "../checkpoint/helpers.js";
import { liveArrays, settledArrays } from "../mlx/helpers.js";

const load = () => Gemma4Target.load(openTarget(EMBEDDED_TARGET));

/** The target, but a step's output is `changed`. */
function withSteps(target: Target, changed: (output: StepOutput, rows: number) => StepOutput): Target {
  return {
    vocabSize: target.vocabSize,
    hiddenSize: target.hiddenSize,
    maxPositionEmbeddings: target.maxPositionEmbeddings,
    embed: (tokens) => target.embed(tokens),
    openSession(maxBlock) {
      const session = target.openSession(maxBlock);
      return {
        get position() {
          return session.position;
        },
        prefill: (tokens, options) => session.prefill(tokens, options),
        step: (tokens) => changed(session.step(tokens), tokens.shape[1] ?? 1),
        pending: () => session.pending(),
        keep: (n) => session.keep(n),
        mark: () => session.mark(),
        rewind: (position) => session.rewind(position),
        sharedKv: () => session.sharedKv(),
        [Symbol.dispose]: () => session[Symbol.dispose](),
      };
    },
    [Symbol.dispose]() {},
  };
}

const doubled = (output: StepOutput, part: keyof StepOutput) => ({
  ...output,
  [part]: ops.add(output[part], output[part]),
});

describe("blocks against single rows", () => {
  it("are equal, bit for bit", async () => {
    using target = await load();
    const before = await settledArrays();
    expect(await rowsEqualBlocks(target)).toBe(true);
    expect(liveArrays()).toBe(before);
  });

  it.each([
    ["logits", 16],
    ["lastHidden", 2],
  ] as const)("differ when the %s of blocks of %i rows are others", async (part, size) => {
    using target = await load();
    const broken = withSteps(target, (output, rows) => (rows === size ? doubled(output, part) : output));
    expect(await rowsEqualBlocks(broken)).toBe(false);
  });
});

describe("the full property", () => {
  it("holds blocks of every size against rows, at every prompt", async () => {
    using target = await load();
    const parts: number[] = [];
    const before = await settledArrays();
    const result = await checkExactness(target, { onProgress: (done) => parts.push(done) });
    expect(result).toEqual({ rowsCompared: 3 * 135, difference: undefined });
    expect(parts).toEqual([0, 1, 2]);
    expect(liveArrays()).toBe(before);
  });

  it.each([2, 7, 15, 16])("says which row of which block differs: %i rows", async (size) => {
    using target = await load();
    const broken = withSteps(target, (output, rows) => (rows === size ? doubled(output, "logits") : output));
    const { difference } = await checkExactness(broken);
    // Blocks of 2, 3 … stand one after the other behind the first prompt's 16 tokens.
    expect(difference).toEqual({ position: 16 + (size * (size - 1)) / 2 - 1, rows: size });
  });

  it("can be aborted, and asks a small model for what it has room for", async () => {
    using target = await load();
    await expect(checkExactness(target, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "aborted",
    });
    const small = { ...withSteps(target, (output) => output), maxPositionEmbeddings: 600 };
    expect((await checkExactness(small)).rowsCompared).toBe(2 * 135);
  });
});

describe("the verdict", () => {
  it("needs no measurement where it holds by construction, or without a drafter", async () => {
    using target = await load();
    const untouched = withSteps(target, () => {
      throw new Error("a step was taken");
    });
    expect(await exactnessOf(untouched, { kernels: "avx2", drafting: true })).toBe("by construction");
    expect(await exactnessOf(untouched, { kernels: "mlx", drafting: false })).toBe("by construction");
  });

  it("is measured elsewhere, and refused where it must be exact", async () => {
    using target = await load();
    const how = { kernels: "mlx", drafting: true };
    expect(await exactnessOf(target, { ...how, required: true })).toBe("measured");
    const broken = withSteps(target, (output, rows) => (rows === 4 ? doubled(output, "logits") : output));
    expect(await exactnessOf(broken, how)).toBe("not exact");
    const { message } = await rejected("unsupported", exactnessOf(broken, { ...how, required: true }));
    expect(message).toMatch(/^--require-exact: expected .* found .*; leave --require-exact out/s);
  });

  it("is not waited for when it is aborted in the middle", async () => {
    using target = await load();
    const before = await settledArrays();
    const controller = new AbortController();
    let steps = 0;
    const counted = withSteps(target, (output) => {
      if (++steps === 2) controller.abort();
      return output;
    });
    await rejected(
      "aborted",
      exactnessOf(counted, { kernels: "mlx", drafting: true, signal: controller.signal }),
    );
    expect(steps).toBe(2);
    expect(await settledArrays()).toBe(before);
  });
});
