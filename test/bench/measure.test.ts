import { describe, expect, it } from "vitest";
import { bench } from "../../src/bench/bench.js";
import { type Generation, generationsOf } from "../../src/bench/generation.js";
import { type MeasureProgress, measure } from "../../src/bench/measure.js";
import { jobsOf } from "../../src/bench/plan.js";
import { complaintOf } from "../../src/cli/commands/run-bench.js";
import type { MlxArray } from "../../src/mlx/array.js";
import type { StepOutput, Target, TargetSession } from "../../src/target/target.js";
import { fakePair, type Script, scriptedDrafter, scriptedTarget, VOCAB } from "../support/fakes.js";
import {
  ABOUT,
  BYTES,
  GREEDILY,
  generationAt,
  groupOf,
  IDS,
  observation,
  planOf,
  SETTINGS,
} from "./observations.js";

const chat = groupOf("chat");
const SAMPLED = { name: "T=0.7", options: { ...GREEDILY.options, temperature: 0.7 } };

describe("the order of generations", () => {
  it("warms up with every K, then takes every K of a prompt in turn, each repetition beginning one further", () => {
    const jobs = [...jobsOf(planOf([chat], [3], 2))].map(
      ({ repetition, prompt, draftTokens }) => `${repetition}.${prompt} K${draftTokens}`,
    );
    expect(jobs).toEqual([
      "0.0 K0",
      "0.0 K3",
      ...["1.0 K0", "1.0 K3", "1.1 K0", "1.1 K3"],
      ...["2.0 K3", "2.0 K0", "2.1 K3", "2.1 K0"],
    ]);
  });
});

describe("measure", () => {
  it("counts all but the warm-up, and tells time left from how long the same took before", async () => {
    let clock = 0;
    const told: MeasureProgress[] = [];
    const generation: Generation = async (job) => {
      clock += job.draftTokens === 0 ? 3000 : 1000;
      return observation(job.draftTokens);
    };
    const { runs, complete } = await measure(planOf([chat], [3], 2), generation, {
      now: () => clock,
      onProgress: (now) => told.push(now),
    });
    expect({ runs: runs.length, complete }).toEqual({ runs: 8, complete: true });
    expect(runs.every(({ repetition }) => repetition > 0)).toBe(true);
    expect(told.map(({ secondsLeft }) => secondsLeft).slice(0, 4)).toEqual([
      undefined,
      undefined,
      undefined,
      21,
    ]);
    // Known: 1, 3 and 3; the second prompt at K = 3, twice, counts as the average of the three that were.
    expect(told.at(5)?.secondsLeft).toBeCloseTo(1 + 3 + 3 + 2 * (7 / 3));
    expect(told.at(6)?.secondsLeft).toBe(8);
    expect(told.at(-1)).toMatchObject({ done: 9 / 10, secondsLeft: 3 });
  });

  it("stops at a signal and leaves out the generation that ran", async () => {
    const controller = new AbortController();
    let calls = 0;
    const generation: Generation = async (job, _, signal) => {
      if (++calls === 5) controller.abort();
      return signal?.aborted ? undefined : observation(job.draftTokens);
    };
    const { runs, complete, failure } = await measure(planOf([chat], [3], 2), generation, {
      signal: controller.signal,
    });
    expect({ runs: runs.length, complete, failure }).toEqual({
      runs: 2,
      complete: false,
      failure: undefined,
    });
  });

  it("fails at the first answer with other ids, and not before", async () => {
    const odd = [...IDS.slice(0, 17), 99, ...IDS.slice(18)];
    const generation: Generation = async (job) =>
      observation(job.draftTokens, 1, 0.5, job.draftTokens === 3 && job.prompt === 1 ? odd : IDS);
    const { failure, complete, runs } = await measure(planOf([chat], [1, 3], 2), generation);
    expect(complete).toBe(false);
    expect(runs).toHaveLength(5);
    expect(failure?.difference).toEqual({
      ...{ suite: "chat", context: null, sampling: "greedy" },
      ...{ prompt: 2, draftTokens: 3, position: 17, expected: 17, found: 99 },
    });
    expect(
      (
        await measure(
          planOf([chat], [1, 3], 2),
          generationAt(() => 1),
        )
      ).failure,
    ).toBeUndefined();
  });

  it("takes a shorter answer for a difference too", async () => {
    const generation: Generation = async (job) =>
      observation(job.draftTokens, 1, 0.5, job.draftTokens === 0 ? IDS : IDS.slice(0, 9));
    const { failure } = await measure(planOf([chat], [3]), generation);
    expect(failure?.difference).toMatchObject({ position: 9, expected: 9, found: null });
  });

  it("lets sampled answers differ between K, but not between repetitions", async () => {
    const plan = planOf([groupOf("chat", { sampling: SAMPLED })], [3], 2);
    const byK: Generation = async (job) =>
      observation(job.draftTokens, 1, 0.5, [...IDS, Number(job.draftTokens)]);
    expect((await measure(plan, byK)).complete).toBe(true);
    const byRepetition: Generation = async (job) =>
      observation(job.draftTokens, 1, 0.5, [...IDS, job.repetition]);
    expect((await measure(plan, byRepetition)).failure?.difference).toMatchObject({ expected: 1, found: 2 });
  });
});

/** A target whose blocks of several rows follow another script than its single rows: what must never happen. */
function targetOfTwoMinds(alone: Script, inBlock: Script): Target {
  const [single, block] = [scriptedTarget(alone), scriptedTarget(inBlock)];
  return {
    ...single,
    openSession(maxBlock) {
      const [a, b] = [single.openSession(maxBlock), block.openSession(maxBlock)];
      const session: TargetSession = {
        get position() {
          return a.position;
        },
        async prefill(tokens, options) {
          await b.prefill(tokens, options);
          return a.prefill(tokens, options);
        },
        step(tokens: MlxArray): StepOutput {
          const [one, several] = [a.step(tokens), b.step(tokens)];
          return tokens.shape[1] === 1 ? one : several;
        },
        pending: () => a.pending(),
        keep(n) {
          a.keep(n);
          b.keep(n);
        },
        mark() {},
        rewind(position) {
          a.rewind(position);
          b.rewind(position);
        },
        sharedKv: () => a.sharedKv(),
        [Symbol.dispose]() {},
      };
      return session;
    },
  };
}

describe("with a loaded pair", () => {
  const script: Script = (position) => (position * 7) % VOCAB;
  const plan = { ...planOf([groupOf("chat", { prompts: [[1, 2, 3]] })], [2], 2), maxTokens: 20 };

  it("observes rounds, gaps and memory, and finds no difference", async () => {
    const pair = fakePair(scriptedTarget(script), scriptedDrafter(script));
    const { runs, complete } = await measure(plan, generationsOf(pair));
    expect(complete).toBe(true);
    const drafted = runs.find(({ draftTokens }) => draftTokens === 2);
    // 19 tokens after the first: six rounds of 3, and the last has room for none but its own.
    expect(drafted).toMatchObject({ roundsByTokens: [1, 0, 6] });
    expect(drafted?.gapsMs).toHaveLength(7);
    expect(runs.find(({ draftTokens }) => draftTokens === 0)?.roundsByTokens).toEqual([19]);
    expect(runs.every(({ peakBytes }) => peakBytes > 0)).toBe(true);
  });

  it("a target whose drafted ids differ fails, with both logits", async () => {
    const other: Script = (position) => (position === 9 ? 4 : script(position));
    const pair = fakePair(targetOfTwoMinds(script, other), scriptedDrafter(script));
    const report = await bench(pair, plan, { about: ABOUT, settings: SETTINGS, bytes: BYTES });
    expect(report.complete).toBe(false);
    expect(report.difference).toEqual({
      ...{ suite: "chat", context: null, sampling: "greedy", prompt: 1, draftTokens: 2 },
      // Position 9 of the text is position 6 of the answer.
      ...{ position: 6, expected: script(9), found: 4 },
      logits: { alone: [9, 0], inBlock: [0, 9] },
    });
    const text =
      "Failed: on chat, prompt 1, K = 2 wrote other ids than it had to: at position 6 of the answer expected token 13, " +
      "found token 4; their logits are 9.0000000 and 0.0000000 alone, 0.0000000 and 9.0000000 in a block of 3.";
    expect(report.verdict).toEqual({ kind: "failed", draftTokens: null, text });
    expect(complaintOf(report)).toEqual({ exitCode: 1, line: text });
  });
});
