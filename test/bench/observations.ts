import type { Generation, Observation } from "../../src/bench/generation.js";
import { type Measured, measure } from "../../src/bench/measure.js";
import type { Group, Job, Plan } from "../../src/bench/plan.js";
import { FORMAT, type Report, type Row, VERSION } from "../../src/bench/report.js";
import { rowsOf } from "../../src/bench/rows.js";
import type { StepBytes } from "../../src/bench/step-bytes.js";
import { verdictOf } from "../../src/bench/verdict.js";
import type { DraftTokens } from "../../src/options.js";
import { GREEDY } from "../../src/speculative/sampling.js";

export const GREEDILY = { name: "greedy", options: GREEDY };

export const groupOf = (suite: string, more: Partial<Group> = {}): Group => ({
  suite,
  context: null,
  sampling: GREEDILY,
  prompts: [
    [2, 5, 7],
    [2, 9],
  ],
  ...more,
});

export const planOf = (
  groups: readonly Group[],
  draftTokens: readonly DraftTokens[],
  repetitions = 5,
): Plan => ({
  groups,
  draftTokens: [0, ...draftTokens],
  repetitions,
  maxTokens: 64,
});

export const IDS = Array.from({ length: 41 }, (_, index) => index);
const PLAIN_MS = 10;

/** A generation of {@link IDS} at `speedUp` times plain decoding's speed, with so many of its drafts accepted. */
export function observation(asked: DraftTokens, speedUp = 1, acceptance = 0.5, ids = IDS): Observation {
  // auto: as if it chose 3 each time.
  const draftTokens = asked === "auto" ? 3 : asked;
  const after = ids.length - 1;
  const perStep = 1 + draftTokens * acceptance;
  const steps = Math.round(after / perStep);
  const decodeMs = (after * PLAIN_MS) / speedUp;
  const proposed = steps * draftTokens;
  return {
    ids,
    stats: {
      promptTokens: 3,
      cachedPromptTokens: 0,
      tokens: ids.length,
      tokensPerSecond: (after * 1000) / decodeMs,
      promptTokensPerSecond: 100,
      timeToFirstTokenMs: 30,
      targetSteps: steps,
      proposed,
      accepted: Math.round(proposed * acceptance),
      acceptanceRate: acceptance,
      acceptanceByPosition: Array.from({ length: draftTokens }, () => acceptance),
      proposedByPosition: Array.from({ length: draftTokens }, () => steps),
      roundsByDraftTokens: Array.from({ length: draftTokens + 1 }, (_, k) => (k === draftTokens ? steps : 0)),
      tokensPerStep: after / steps,
      draftTokens: asked,
      adaptive: null,
      exact: "by construction",
      times: {
        draft: decodeMs * 0.3,
        verify: decodeMs * 0.6,
        accept: decodeMs * 0.06,
        rest: decodeMs * 0.04,
      },
    },
    gapsMs: Array.from({ length: steps }, () => decodeMs / steps),
    roundsByTokens: Array.from({ length: draftTokens + 1 }, (_, place) =>
      place === draftTokens ? steps : 0,
    ),
    peakBytes: 1e6 + draftTokens,
    conditions: { loadAverage: 0.5, limitedMs: 2, stolenMs: null, overheated: null },
  };
}

export const ABOUT: Report["about"] = {
  date: "2026-01-02T03:04:05.678Z",
  versions: { mlxGemma: "1", mlx: "1", node: "1" },
  ...{
    platform: "p",
    cpu: "c",
    cores: 2,
    device: "cpu",
    kernels: "avx2",
    memoryBytes: 1,
    readBandwidth: 1e9,
  },
};

export const SETTINGS: Report["settings"] = {
  ...{
    model: "m",
    assistant: "a",
    dtype: null,
    threads: 0,
    draftTokens: [0, 1, 3, 6],
    suites: ["chat", "prose"],
  },
  ...{ contexts: [], samplings: ["greedy"], maxTokens: 64, repetitions: 5 },
};

/** Bytes that make numbers easy: a target step 1000, a draft step 100. */
export const BYTES: StepBytes = { target: () => 1000, draft: () => 100 };
export const MEMORY = { bytes: BYTES, readBandwidth: 1e6 };

/** Speed-ups by job. */
export type SpeedUp = (job: Job) => number;

export const generationAt =
  (speedUp: SpeedUp, acceptance = 0.5): Generation =>
  async (job) =>
    observation(job.draftTokens, job.draftTokens === 0 ? 1 : speedUp(job), acceptance);

export async function rowsAt(plan: Plan, speedUp: SpeedUp, acceptance = 0.5) {
  const measured: Measured = await measure(plan, generationAt(speedUp, acceptance));
  return rowsOf(plan, measured.runs, MEMORY);
}

/** A finished bench with these rows. */
export function reportWith(rows: readonly Row[], more: Partial<Report> = {}): Report {
  return {
    format: FORMAT,
    version: VERSION,
    about: ABOUT,
    settings: SETTINGS,
    warnings: [],
    exact: "by construction",
    complete: true,
    rows: [...rows],
    difference: null,
    verdict: verdictOf(rows),
    comparison: null,
    ...more,
  };
}
