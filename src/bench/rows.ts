import type { DraftTokens } from "../options.js";
import { median, quantile } from "../quantiles.js";
import { together } from "./conditions.js";
import type { Run } from "./measure.js";
import type { Group, Plan } from "./plan.js";
import type { Figure, Finding, Row } from "./report.js";
import { bootstrapInterval, type Interval } from "./statistics.js";
import type { StepBytes } from "./step-bytes.js";

/** What memory gives, to hold against what a token needs of it. */
export interface MemoryFacts {
  readonly bytes: StepBytes;
  /** Bytes a second. */
  readonly readBandwidth: number;
}

/** Of fewer repetitions even the whole range holds the true median in less than nine of ten cases. */
const MIN_REPETITIONS = 5;

const PARTS = ["draft", "verify", "accept", "rest"] as const;

/** All prompts of a group with one K, once. */
interface Repetition {
  readonly number: number;
  readonly runs: readonly Run[];
  readonly tokensPerSecond: number;
}

/** A row for each group and K, of the repetitions that are whole. Groups whose answers all end at once have none. */
export function rowsOf({ groups, draftTokens }: Plan, runs: readonly Run[], memory: MemoryFacts): Row[] {
  return groups.flatMap((group) => {
    const plain = repetitionsOf(group, 0, runs);
    return draftTokens.flatMap((k) => {
      const pairs = repetitionsOf(group, k, runs).flatMap((own) => {
        const base = plain.find(({ number }) => number === own.number);
        return base && own.tokensPerSecond > 0 && base.tokensPerSecond > 0 ? [{ own, base }] : [];
      });
      return pairs.length > 0 ? [rowOf(group, k, pairs, memory)] : [];
    });
  });
}

function repetitionsOf(group: Group, k: DraftTokens, runs: readonly Run[]): Repetition[] {
  const byNumber = new Map<number, Run[]>();
  for (const run of runs) {
    if (run.group !== group || run.draftTokens !== k) continue;
    byNumber.set(run.repetition, [...(byNumber.get(run.repetition) ?? []), run]);
  }
  return [...byNumber]
    .filter(([, own]) => own.length === group.prompts.length)
    .map(([number, own]) => ({
      number,
      runs: own,
      tokensPerSecond: ratio(1000 * sum(own, afterFirst), sum(own, decodeMs)),
    }));
}

function rowOf(
  group: Group,
  draftTokens: DraftTokens,
  pairs: readonly { readonly own: Repetition; readonly base: Repetition }[],
  memory: MemoryFacts,
): Row {
  const repetitions = pairs.map(({ own }) => own);
  const all = repetitions.flatMap(({ runs }) => runs);
  const each = (value: (runs: readonly Run[]) => number) =>
    figureOf(repetitions.map(({ runs }) => value(runs)));
  const [one] = repetitions;
  const answers = one?.runs ?? []; // The same ids in every repetition.
  const samples = pairs.map(({ own, base }) => ({
    repetition: own.number,
    promptTokensPerSecond: promptSpeed(own.runs),
    decodeTokensPerSecond: own.tokensPerSecond,
    speedUp: own.tokensPerSecond / base.tokensPerSecond,
  }));
  const speedUps = samples.map(({ speedUp }) => speedUp);
  const interval = bootstrapInterval(speedUps);
  const rounds = sum(answers, ({ stats }) => stats.targetSteps);
  const proposed = sum(answers, ({ stats }) => stats.proposed);
  const accepted = sum(answers, ({ stats }) => stats.accepted);
  const gap = (p: number) =>
    each((runs) =>
      quantile(
        runs.flatMap(({ gapsMs }) => gapsMs),
        p,
      ),
    );
  const part = (name: (typeof PARTS)[number]) =>
    each((runs) =>
      ratio(
        sum(runs, ({ stats }) => stats.times[name]),
        sum(runs, ({ stats }) => stats.targetSteps),
      ),
    );
  const speed = figureOf(samples.map(({ decodeTokensPerSecond }) => decodeTokensPerSecond));
  const tokensPerStep = ratio(sum(answers, afterFirst), rounds);
  return {
    suite: group.suite,
    context: group.context,
    sampling: group.sampling.name,
    draftTokens,
    finding: findingOf(draftTokens, interval, samples.length),
    repetitions: repetitions.length,
    prompts: group.prompts.length,
    promptTokens: ratio(
      sum(answers, ({ stats }) => stats.promptTokens),
      answers.length,
    ),
    tokens: sum(answers, ({ stats }) => stats.tokens),
    promptTokensPerSecond: figureOf(samples.map(({ promptTokensPerSecond }) => promptTokensPerSecond)),
    decodeTokensPerSecond: speed,
    speedUp: { ...figureOf(speedUps), interval: [...interval] },
    proposed,
    accepted,
    acceptanceRate: ratio(accepted, proposed),
    breakEvenAcceptance: breakEven(pairs, proposed / rounds),
    acceptanceByPosition: acceptanceByPosition(answers),
    tokensPerStep,
    roundsByDraftTokens: addUp(answers.map(({ stats }) => stats.roundsByDraftTokens)),
    rounds: { count: rounds, byTokens: addUp(answers.map((run) => run.roundsByTokens)) },
    msPerRound: { draft: part("draft"), verify: part("verify"), accept: part("accept"), rest: part("rest") },
    timeToFirstTokenMs: each((runs) => median(runs.map(({ stats }) => stats.timeToFirstTokenMs))),
    gapMs: { p50: gap(0.5), p95: gap(0.95), p99: gap(0.99) },
    peakMemoryBytes: Math.max(...all.map(({ peakBytes }) => peakBytes)),
    memoryRead: memoryRead(memory, answers, { rounds, proposed, speed: speed.median }),
    conditions: together(all.map(({ conditions }) => conditions)),
    samples,
  };
}

export function findingOf(draftTokens: DraftTokens, [low, high]: Interval, repetitions: number): Finding {
  if (draftTokens === 0) return "baseline";
  if (repetitions < MIN_REPETITIONS) return "too few repetitions to tell";
  if (low > 1) return "faster";
  return high < 1 ? "slower" : "too noisy to tell";
}

/**
 * The acceptance rate at which a round costs as much as the plain steps that it saves. A round of d drafts gives
 * 1 + d·rate tokens and takes as long as c plain steps: rate = (c - 1) / d. Null where nothing was proposed.
 */
function breakEven(
  pairs: readonly { readonly own: Repetition; readonly base: Repetition }[],
  draftsPerRound: number,
): number | null {
  if (!(draftsPerRound > 0)) return null;
  const msPerRound = ({ runs }: Repetition) =>
    ratio(
      sum(runs, decodeMs),
      sum(runs, ({ stats }) => stats.targetSteps),
    );
  const cost = median(pairs.map(({ own, base }) => msPerRound(own) / msPerRound(base)));
  return Math.max(0, (cost - 1) / draftsPerRound);
}

function acceptanceByPosition(runs: readonly Run[]): number[] {
  const proposed = addUp(runs.map(({ stats }) => stats.proposedByPosition));
  return proposed.map((count, place) =>
    ratio(
      sum(
        runs,
        ({ stats }) => (stats.acceptanceByPosition[place] ?? 0) * (stats.proposedByPosition[place] ?? 0),
      ),
      count,
    ),
  );
}

/** Counts by place, of all together. */
function addUp(lists: readonly (readonly number[])[]): number[] {
  const places = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: places }, (_, place) => sum(lists, (list) => list[place] ?? 0));
}

/** Bytes that a token reads: the rounds' target steps and draft steps, by the tokens that they gave. */
function memoryRead(
  { bytes, readBandwidth }: MemoryFacts,
  runs: readonly Run[],
  { rounds, proposed, speed }: { readonly rounds: number; readonly proposed: number; readonly speed: number },
): Row["memoryRead"] {
  const position = ratio(
    sum(runs, ({ stats }) => stats.promptTokens + stats.tokens / 2),
    runs.length,
  );
  const rows = 1 + ratio(proposed, rounds);
  const all = rounds * bytes.target({ position, rows }) + proposed * bytes.draft(position);
  const bytesPerToken = ratio(all, sum(runs, afterFirst));
  const bytesPerSecond = bytesPerToken * speed;
  return { bytesPerToken, bytesPerSecond, share: ratio(bytesPerSecond, readBandwidth) };
}

function figureOf(values: readonly number[]): Figure {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), n: values.length };
}

/** The first token comes with the prompt. */
function afterFirst({ stats }: Run): number {
  return Math.max(0, stats.tokens - 1);
}

function decodeMs(run: Run): number {
  return ratio(1000 * afterFirst(run), run.stats.tokensPerSecond);
}

function promptSpeed(runs: readonly Run[]): number {
  const ms = sum(runs, ({ stats }) => ratio(1000 * stats.promptTokens, stats.promptTokensPerSecond));
  return ratio(1000 * sum(runs, ({ stats }) => stats.promptTokens), ms);
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

function ratio(a: number, b: number): number {
  return b > 0 ? a / b : 0;
}
