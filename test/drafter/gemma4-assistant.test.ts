import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { DraftContext } from "../../src/drafter/drafter.js";
import type { Gemma4Assistant } from "../../src/drafter/gemma4-assistant.js";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromInt32, readInt32, scope } from "../../src/mlx/array.js";
import type { NativeArray } from "../../src/mlx/native.js";
import * as ops from "../../src/mlx/ops.js";
import { GREEDY } from "../../src/speculative/sampling.js";
import type { Gemma4Target } from "../../src/target/gemma4-target.js";
import { liveArrays, settledArrays } from "../mlx/helpers.js";
import { goldenHidden, goldenKv, loadAssistant, readDrafts, visibleAt } from "../support/golden-drafts.js";
import { loadGolden, PAIRS, valuesOf } from "../target/helpers.js";

const POSITION = 61;
/** Of one draft step, head and picking included: what JavaScript has to build. */
const MOST_NODES = 6;

describe.each(PAIRS)("the assistant of %s", (name) => {
  const golden = readDrafts(name);
  let target: Gemma4Target;
  let assistant: Gemma4Assistant;
  let base: Omit<DraftContext, "steps" | "pick">;

  beforeAll(async () => {
    target = await loadGolden(name, { dtype: "float32" });
    assistant = await loadAssistant(name);
    const bonus = fromInt32(Int32Array.of(golden.promptIds[0] ?? 0), [1, 1]);
    const hidden = (await goldenHidden(name))(POSITION - 1);
    const sharedKv = (await goldenKv(name))(visibleAt(POSITION, golden.slidingWindow));
    base = { bonus, hidden, sharedKv, position: POSITION, embed: (tokens) => target.embed(tokens) };
  });

  afterAll(() => {
    assistant[Symbol.dispose]();
    target[Symbol.dispose]();
  });

  const greedy = (steps: number): DraftContext => ({ ...base, steps, pick: { kind: "greedy" } });

  it("builds six steps as one graph: nothing is evaluated or read back until its tokens are", async () => {
    await settledArrays();
    const before = addon().counters();
    const { tokens } = scope(() => assistant.propose(greedy(6)));
    if (!tokens) throw new Error("nothing proposed");
    const built = addon().counters();
    expect([built.evaluations, built.readbacks]).toEqual([before.evaluations, before.readbacks]);
    expect(built.liveArrays - before.liveArrays).toBe(1);
    await evaluate([[tokens]]);
    expect(readInt32(tokens)).toHaveLength(6);
    tokens.dispose();
    const after = addon().counters();
    expect([after.evaluations - before.evaluations, after.readbacks - before.readbacks]).toEqual([1, 1]);
    expect(after.liveArrays).toBe(before.liveArrays);
  });

  it(`builds at most ${MOST_NODES} nodes a step`, () => {
    const count = (steps: number) =>
      countNodes(() => scope(() => assistant.propose(greedy(steps))).tokens?.dispose());
    expect(count(4) - count(3)).toBeLessThanOrEqual(MOST_NODES);
    expect(count(4) - count(3)).toBeGreaterThan(3);
  });

  it("proposes nothing in no steps", () => {
    expect(assistant.propose(greedy(0))).toEqual({ distributions: [] });
  });

  it("samples with one key for each position after the bonus token, and gives q of each step", async () => {
    const positions: number[] = [];
    const proposal = assistant.propose({
      ...base,
      steps: 3,
      pick: {
        kind: "sample",
        probabilities: (logits) => ops.probabilities(logits, { ...GREEDY, temperature: 1 }),
        key: (position) => {
          positions.push(position);
          return [1, position];
        },
      },
    });
    expect(positions).toEqual([POSITION + 1, POSITION + 2, POSITION + 3]);
    expect(proposal.distributions).toHaveLength(3);
    for (const { probabilities, tokens } of proposal.distributions) {
      const total = (await valuesOf(probabilities)).reduce((sum, probability) => sum + probability, 0);
      expect(total).toBeCloseTo(1, 4);
      expect(tokens === undefined).toBe(golden.draft[0]?.candidates === undefined);
      expect(tokens?.shape ?? probabilities.shape).toEqual(probabilities.shape);
    }
  });

  it("runs beside a target of another dtype", async () => {
    const cast = (array: NativeArray) => ops.astype(array, "bfloat16");
    const context: DraftContext = {
      ...greedy(6),
      hidden: cast(base.hidden),
      embed: (ids) => cast(target.embed(ids)),
    };
    const { tokens } = assistant.propose(context);
    if (!tokens) throw new Error("nothing proposed");
    await evaluate([[tokens]]);
    expect(readInt32(tokens)).toHaveLength(6);
  });

  it("says that the target lacks a layer type's K/V", () => {
    const { full_attention } = base.sharedKv;
    const sharedKv = full_attention ? { full_attention } : {};
    expect(() => assistant.propose({ ...greedy(1), sharedKv })).toThrow("sliding_attention");
  });

  it("gives its memory back", async () => {
    const before = await settledArrays();
    const another = await loadAssistant(name);
    expect(liveArrays()).toBeGreaterThan(before + 40);
    another[Symbol.dispose]();
    expect(liveArrays()).toBe(before);
    expect(() => another.propose(greedy(1))).toThrow(expect.objectContaining({ code: "disposed" }));
  });
});

/** Calls of graph-building operations, and of layers, inside `build`. */
function countNodes(build: () => void): number {
  const native = addon().ops as unknown as Record<string, (...args: unknown[]) => unknown>;
  const originals = Object.entries(native);
  const layers = vi.spyOn(addon().DecoderLayers.prototype, "forward");
  let count = 0;
  for (const [name, operation] of originals) {
    native[name] = (...args) => {
      count++;
      return operation(...args);
    };
  }
  try {
    build();
    return count + layers.mock.calls.length;
  } finally {
    Object.assign(native, Object.fromEntries(originals));
    layers.mockRestore();
  }
}
