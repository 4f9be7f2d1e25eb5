import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addon } from "../../src/mlx/addon.js";
import { evaluate, fromInt32, type MlxArray } from "../../src/mlx/array.js";
import type { LayerType } from "../../src/mlx/native.js";
import type { Gemma4Target } from "../../src/target/gemma4-target.js";
import type { TargetSession } from "../../src/target/target.js";
import {
  argmax,
  distance,
  type Golden,
  goldenMatrix,
  goldenTensor,
  loadGolden,
  PAIRS,
  randoms,
  readGolden,
  type StepValues,
  sameBits,
  stepOn,
  stepValues,
  valuesOf,
} from "./helpers.js";

/** Against the reference in float32. */
const TOLERANCE = 1e-4;
const BLOCK = 7;
const LAYER_TYPES: readonly LayerType[] = ["full_attention", "sliding_attention"];

// Where the kernels' law holds, a row has the same bits however it was computed.
const exact = addon().kernels() !== "mlx";

describe.each(PAIRS)("the target against the reference: %s", (name) => {
  let golden: Golden;
  let ids: number[];
  let target: Gemma4Target;
  /** All of `ids` in one step. */
  let whole: StepValues;

  beforeAll(async () => {
    golden = readGolden(name);
    ids = [...golden.promptIds, ...golden.greedyIds];
    target = await loadGolden(name, { dtype: "float32" });
    whole = await stepOn(target.openSession(ids.length), ids);
  });

  afterAll(() => target[Symbol.dispose]());

  it("gives the reference's logits and last hidden at every position", async () => {
    const logits = await goldenMatrix(name, "logits");
    const hidden = await goldenMatrix(name, "sequence.last_hidden");
    expect(distance(whole.logits.rows(0, golden.promptIds.length), logits.values)).toBeLessThan(TOLERANCE);
    expect(distance(whole.hidden.values, hidden.values)).toBeLessThan(TOLERANCE);
  });

  it("notices a wrong token (negative control)", async () => {
    const logits = await goldenMatrix(name, "logits");
    const wrong = golden.promptIds.map((id, i) => (i === 5 ? id + 1 : id));
    const found = await stepOn(target.openSession(wrong.length), wrong);
    expect(distance(found.logits.values, logits.values)).toBeGreaterThan(100 * TOLERANCE);
  });

  it("exports the K/V that a query may see: before, at and past the window", async () => {
    const expected = await goldenKv(name);
    const session = target.openSession(BLOCK);
    for (const end of [1, 2, ...windowEdges(golden.slidingWindow), ids.length]) {
      await session.prefill(Int32Array.from(ids.slice(session.position, end)), { chunkSize: 5 });
      for (const [type, pair] of Object.entries(session.sharedKv())) {
        const begin = type === "full_attention" ? 0 : Math.max(0, end - golden.slidingWindow + 1);
        for (const part of ["keys", "values"] as const) {
          const { values, shape } = expected[`${type}.${part}`] ?? { values: new Float32Array(), shape: [] };
          const [heads = 0, length = 0, width = 0] = shape;
          expect(pair[part].shape).toEqual([1, heads, end - begin, width]);
          const seen = headRows(values, { heads, length, width }, begin, end);
          expect(distance(await valuesOf(pair[part]), seen), `${type} ${part} at ${end}`).toBeLessThan(
            TOLERANCE,
          );
        }
      }
    }
  });

  it.each([1, 7, 512])(
    "continues greedily as the reference does, prompt in chunks of %d",
    async (chunkSize) => {
      const session = target.openSession(BLOCK);
      const prompt = Int32Array.from(golden.promptIds);
      const first = await stepValues(await session.prefill(prompt, { chunkSize }));
      const found = [argmax(first.logits.values)];
      const steps = [first];
      while (found.length < golden.greedyIds.length) {
        const step = await stepOn(session, found.slice(-1));
        found.push(argmax(step.logits.values));
        steps.push(step);
      }
      expect(found).toEqual(golden.greedyIds);
      for (const [i, step] of steps.entries()) expectRows(step, whole, golden.promptIds.length - 1 + i, 1);
    },
  );

  it("gives a prompt's last row as a step does, right at, before and past the window", async () => {
    for (const length of [1, 2, ...windowEdges(golden.slidingWindow)]) {
      const session = target.openSession(BLOCK);
      const output = await session.prefill(Int32Array.from(ids.slice(0, length)), { chunkSize: 6 });
      expectRows(await stepValues(output), whole, length - 1, 1);
    }
  });

  it("after rejected blocks is as if they had never been seen", async () => {
    const random = randoms(1);
    const drafted = target.openSession(BLOCK);
    const plain = target.openSession(BLOCK);
    const start = golden.slidingWindow - 3;
    for (const session of [drafted, plain]) await session.prefill(Int32Array.from(ids.slice(0, start)));
    while (drafted.position + BLOCK <= ids.length) {
      const position = drafted.position;
      const kept = 1 + random(BLOCK);
      const right = ids.slice(position, position + kept);
      const block = [...right, ...Array.from({ length: BLOCK - kept }, () => random(target.vocabSize))];
      const found = await stepOn(drafted, block);
      drafted.keep(kept);
      await stepOn(plain, right);
      expectRows(found, whole, position, kept);
      expect(drafted.position).toBe(position + kept);
      await expectSameKv(drafted, plain);
    }
  });

  it("sees a rejected block that was not cut (negative control)", async () => {
    const session = target.openSession(BLOCK);
    await session.prefill(Int32Array.from(ids.slice(0, 20)));
    await stepOn(session, [7, 7, 7]);
    const found = await stepOn(session, ids.slice(20, 21));
    expect(distance(found.logits.values, whole.logits.rows(20, 21))).toBeGreaterThan(100 * TOLERANCE);
  });

  it("takes tokens that are not evaluated, and reads nothing back", async () => {
    const session = target.openSession(BLOCK);
    await session.prefill(Int32Array.from(ids.slice(0, 30)));
    const before = addon().counters();
    let token: MlxArray = fromInt32(Int32Array.of(ids[30] ?? 0), [1, 1]);
    const logits: MlxArray[] = [];
    for (let i = 0; i < 4; i++) {
      const output = session.step(token);
      logits.push(output.logits);
      token = addon().ops.argmax(output.logits);
    }
    const after = addon().counters();
    expect([after.evaluations, after.readbacks]).toEqual([before.evaluations, before.readbacks]);
    await evaluate([[...logits, ...session.pending()]]);
    const [first] = logits;
    if (!first) throw new Error("no logits");
    expect(distance(await valuesOf(first), whole.logits.rows(30, 31))).toBeLessThan(TOLERANCE);
  });

  it("embeds a token as its first layer does, times the rounded factor", async () => {
    const half = await loadGolden(name, { dtype: "bfloat16" });
    const wide = await valuesOf(target.embed(fromInt32(Int32Array.of(9, 4), [1, 2])));
    const narrow = await valuesOf(half.embed(fromInt32(Int32Array.of(9, 4), [1, 2])));
    expect(wide.length).toBe(2 * target.hiddenSize);
    expect(distance(narrow, wide)).toBeLessThan(2 ** -7);
    half[Symbol.dispose]();
  });
});

describe.each(["bfloat16", "float16"] as const)("the target in %s", (dtype) => {
  it("stays near float32, and gives a row alone as in a block", async () => {
    const { promptIds, greedyIds } = readGolden("e-style");
    const ids = [...promptIds, ...greedyIds];
    const target = await loadGolden("e-style", { dtype });
    const whole = await stepOn(target.openSession(ids.length), ids);
    const reference = await goldenMatrix("e-style", "logits");
    const prompt = whole.logits.rows(0, promptIds.length);
    expect(distance(prompt, reference.values)).toBeLessThan(dtype === "bfloat16" ? 0.05 : 0.01);
    const session = target.openSession(BLOCK);
    await session.prefill(Int32Array.from(promptIds), { chunkSize: 9 });
    for (let i = promptIds.length; i < ids.length; i++) {
      expectRows(await stepOn(session, ids.slice(i, i + 1)), whole, i, 1, 0.05);
    }
    target[Symbol.dispose]();
  });
});

/** Rows of `found` are rows [position, position + count) of `whole`: bit for bit where the kernels promise it. */
function expectRows(
  found: StepValues,
  whole: StepValues,
  position: number,
  count: number,
  near = TOLERANCE,
): void {
  for (const part of ["logits", "hidden"] as const) {
    const rows = found[part].rows(0, count);
    const expected = whole[part].rows(position, position + count);
    expect(distance(rows, expected), `${part} from position ${position}`).toBeLessThan(near);
    if (exact) expect(sameBits(rows, expected), `bits of ${part} from position ${position}`).toBe(true);
  }
}

async function expectSameKv(a: TargetSession, b: TargetSession): Promise<void> {
  const found = a.sharedKv();
  const expected = b.sharedKv();
  for (const type of LAYER_TYPES) {
    for (const part of ["keys", "values"] as const) {
      const mine = found[type]?.[part];
      const other = expected[type]?.[part];
      if (!mine || !other) throw new Error(`${type} is missing`);
      expect(mine.shape).toEqual(other.shape);
      expect(distance(await valuesOf(mine), await valuesOf(other))).toBeLessThan(exact ? 1e-30 : TOLERANCE);
    }
  }
}

function windowEdges(window: number): number[] {
  return [window - 1, window, window + 1, 2 * window, 2 * window + 1];
}

async function goldenKv(name: string): Promise<Record<string, { values: Float32Array; shape: number[] }>> {
  const names = LAYER_TYPES.flatMap((type) => [`${type}.keys`, `${type}.values`]);
  const tensors = names.map(
    async (key) => [key, await goldenTensor(name, `sequence.shared_kv.${key}`)] as const,
  );
  return Object.fromEntries(await Promise.all(tensors));
}

/** Positions [begin, end) of every head of (heads, length, width). */
function headRows(
  values: Float32Array,
  { heads, length, width }: { heads: number; length: number; width: number },
  begin: number,
  end: number,
): Float32Array {
  const rows = new Float32Array(heads * (end - begin) * width);
  for (let head = 0; head < heads; head++) {
    const from = values.subarray((head * length + begin) * width, (head * length + end) * width);
    rows.set(from, head * (end - begin) * width);
  }
  return rows;
}
