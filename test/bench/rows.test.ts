import { describe, expect, it } from "vitest";
import { measure } from "../../src/bench/measure.js";
import { rowSchema } from "../../src/bench/report.js";
import { rowsOf } from "../../src/bench/rows.js";
import { stepBytes } from "../../src/bench/step-bytes.js";
import { openAssistant, openTarget } from "../../src/checkpoint/index.js";
import { EMBEDDED } from "../cli/helpers.js";
import { generationAt, groupOf, MEMORY, observation, planOf, rowsAt } from "./observations.js";

const chat = groupOf("chat");
/** Speed-ups of repetitions 1 … 5. */
const around = (values: readonly number[]) => (job: { readonly repetition: number }) =>
  values[job.repetition - 1] ?? 1;

describe("rows", () => {
  it("hold medians, spreads and n, and satisfy the schema", async () => {
    const [plain, drafted] = await rowsAt(planOf([chat], [3]), around([2, 2.2, 1.9, 2.1, 2.05]));
    for (const row of [plain, drafted]) expect(() => rowSchema.parse(row)).not.toThrow();
    expect(plain).toMatchObject({
      ...{ suite: "chat", context: null, sampling: "greedy", draftTokens: 0, finding: "baseline" },
      ...{
        repetitions: 5,
        prompts: 2,
        promptTokens: 3,
        tokens: 82,
        tokensPerStep: 1,
        breakEvenAcceptance: null,
      },
      decodeTokensPerSecond: { median: expect.closeTo(100), n: 5 },
      speedUp: { median: 1, min: 1, max: 1, interval: [1, 1] },
      rounds: { count: 80, byTokens: [80] },
    });
    expect(drafted).toMatchObject({
      finding: "faster",
      speedUp: { median: expect.closeTo(2.05), min: expect.closeTo(1.9), max: expect.closeTo(2.2), n: 5 },
      acceptanceRate: 0.5,
      acceptanceByPosition: [0.5, 0.5, 0.5],
      rounds: { count: 32, byTokens: [0, 0, 0, 32] },
      timeToFirstTokenMs: { median: 30 },
      peakMemoryBytes: 1_000_003,
      conditions: { loadAverage: 0.5, limitedMs: 20, stolenMs: null },
    });
    expect(drafted?.samples.map(({ repetition }) => repetition)).toEqual([1, 2, 3, 4, 5]);
  });

  it("the time split adds up to a round", async () => {
    const [, row] = await rowsAt(planOf([chat], [3]), () => 2);
    if (!row) throw new Error("no row");
    const { draft, verify, accept, rest } = row.msPerRound;
    // 40 tokens at 5 ms in 16 rounds.
    expect(draft.median + verify.median + accept.median + rest.median).toBeCloseTo((40 * 5) / 16);
    expect(row.gapMs.p95.median).toBeCloseTo((40 * 5) / 16);
  });

  it.each([
    // 2.5 tokens a round; a speed-up of 2 makes a round cost 1.25 plain steps: (1.25 - 1) / 3.
    [2, 0.5, 1 / 12],
    // A speed-up of 1 is break-even: the rate that was.
    [1, 0.5, 0.5],
    // No draft accepted, at half the speed: a round costs two steps.
    [0.5, 0, 1 / 3],
    // At a fifth: more than could ever come of it.
    [0.2, 0, 4 / 3],
  ])("break-even at %d× with %d accepted is %d", async (speedUp, acceptance, rate) => {
    const [, row] = await rowsAt(planOf([chat], [3]), () => speedUp, acceptance);
    expect(row?.breakEvenAcceptance).toBeCloseTo(rate);
  });

  it.each<[string, number[]]>([
    ["faster", [1.2, 1.3, 1.1, 1.15, 1.25]],
    ["slower", [0.8, 0.9, 0.7, 0.85, 0.75]],
    ["too noisy to tell", [0.8, 1.3, 1.1, 1.2, 1.3]],
    ["too few repetitions to tell", [2, 2, 2, 2]],
  ])("%s: %j", async (finding, speedUps) => {
    const [, row] = await rowsAt(planOf([chat], [3], speedUps.length), around(speedUps));
    expect(row?.finding).toBe(finding);
  });

  it("leave out repetitions that are not whole, and plain ones that are missing", async () => {
    const plan = planOf([chat], [3], 3);
    const { runs } = await measure(
      plan,
      generationAt(() => 2),
    );
    const rowsOfFirst = (count: number) =>
      rowsOf(plan, runs.slice(0, count), MEMORY).map(({ repetitions }) => repetitions);
    expect(rowsOfFirst(runs.length)).toEqual([3, 3]);
    // Of the last repetition the second prompt was plain, not drafted yet.
    expect(rowsOfFirst(runs.length - 1)).toEqual([3, 2]);
    expect(rowsOfFirst(runs.length - 2)).toEqual([2, 2]);
    expect(rowsOfFirst(3)).toEqual([1]);
    expect(rowsOfFirst(2)).toEqual([]);
  });

  it("are none where every answer ends at its first token", async () => {
    const plan = planOf([chat], [3]);
    const { runs } = await measure(plan, async (job) => {
      const whole = observation(job.draftTokens, 1, 0.5, [1]);
      return { ...whole, stats: { ...whole.stats, tokensPerSecond: 0, targetSteps: 0 } };
    });
    expect(rowsOf(plan, runs, MEMORY)).toEqual([]);
  });

  it("hold bytes read against the bandwidth", async () => {
    const [plain, drafted] = await rowsAt(planOf([chat], [3]), () => 2);
    expect(plain?.memoryRead).toEqual({
      ...{ bytesPerToken: 1000, bytesPerSecond: expect.closeTo(100_000), share: expect.closeTo(0.1) },
    });
    // 16 target steps and 48 draft steps for 40 tokens.
    expect(drafted?.memoryRead.bytesPerToken).toBeCloseTo((16 * 1000 + 48 * 100) / 40);
  });
});

describe("bytes of a step", () => {
  const target = openTarget();
  const assistant = openAssistant(`${EMBEDDED}/assistant`);
  const sizeOf = (name: string) => target.weights.tensors.get(name)?.bytes ?? Number.NaN;

  it("are all weights but the per-layer embedding, and the keys and values that are seen", () => {
    const { target: bytes } = stepBytes(target);
    const weights = target.weights.bytes - sizeOf("embed_tokens_per_layer.weight");
    expect(bytes({ position: 0, rows: 1 })).toBe(weights);
    // 8 sliding layers of 64, 2 full ones of 128, keys and values in bf16; the window is 64.
    expect(bytes({ position: 10, rows: 1 }) - weights).toBe(10 * 4 * (8 * 64 + 2 * 128));
    expect(bytes({ position: 100, rows: 1 }) - weights).toBe(4 * (64 * 8 * 64 + 100 * 2 * 128));
  });

  it("double with --dtype f32", () => {
    const at = { position: 9, rows: 1 };
    expect(stepBytes(target, undefined, "float32").target(at)).toBe(2 * stepBytes(target).target(at));
  });

  it("of the drafter count the clusters that are scored", () => {
    const bytes = stepBytes(target, assistant).draft(0);
    const head = ["model.embed_tokens.weight", "masked_embedding.token_ordering"]
      .map((name) => assistant.weights.tensors.get(name)?.bytes ?? Number.NaN)
      .reduce((a, b) => a + b);
    expect(bytes).toBe(assistant.weights.bytes - head + (head * 12) / 128);
    expect(stepBytes(target).draft(5)).toBe(0);
  });

  it("of experts count those that the rows are expected to choose", () => {
    const moe = openTarget(`${EMBEDDED}/../../test/golden/moe/target`);
    const { target: bytes } = stepBytes(moe);
    const { count = Number.NaN, topK = Number.NaN } = moe.config.experts ?? {};
    const experts = [...moe.weights.tensors]
      .filter(([name]) => name.includes("experts."))
      .reduce((sum, [, source]) => sum + source.bytes, 0);
    const fixed = moe.weights.bytes - experts;
    expect(bytes({ position: 0, rows: 1 })).toBeCloseTo(fixed + (experts * topK) / count);
    expect(bytes({ position: 0, rows: 50 })).toBeCloseTo(fixed + experts, -1);
  });
});
