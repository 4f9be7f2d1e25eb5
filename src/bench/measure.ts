import { firstDifference } from "./difference.js";
import type { Generation, Observation } from "./generation.js";
import { type Job, jobsOf, type Plan } from "./plan.js";
import type { Difference } from "./report.js";

/** Tokens of a generation that only warms up. */
const WARM_UP_TOKENS = 16;

/** One generation that counts. */
export interface Run extends Job, Observation {}

/** What a measurement came to. */
export interface Measured {
  readonly runs: readonly Run[];
  /** Every generation of the plan is among `runs`. */
  readonly complete: boolean;
  /** The first answer with other ids than it had to have: the measurement ended there. */
  readonly failure?: {
    readonly job: Job;
    readonly difference: Omit<Difference, "logits">;
    readonly ids: readonly number[];
  };
}

/** What is going on. */
export interface MeasureProgress {
  readonly job: Job;
  /** Share of the generations that are done, 0 … 1. */
  readonly done: number;
  /** Undefined until there is something to tell it from. */
  readonly secondsLeft: number | undefined;
}

export interface MeasureOptions {
  /** Ends the measurement between rounds; the generation that runs is left out. */
  readonly signal?: AbortSignal;
  /** Called before each generation. */
  readonly onProgress?: (progress: MeasureProgress) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Runs a plan's generations, and holds every answer against the one it must be equal to. */
export async function measure(
  plan: Plan,
  generation: Generation,
  options: MeasureOptions = {},
): Promise<Measured> {
  const { signal, onProgress, now = () => performance.now() } = options;
  const jobs = [...jobsOf(plan)];
  const runs: Run[] = [];
  const answers = new Map<string, readonly number[]>();
  const timer = new Timer(jobs, now);
  for (const [index, job] of jobs.entries()) {
    if (signal?.aborted) break;
    onProgress?.({ job, done: index / jobs.length, secondsLeft: timer.left() });
    timer.start();
    const warmUp = job.repetition === 0;
    const seen = await generation(
      job,
      warmUp ? Math.min(WARM_UP_TOKENS, plan.maxTokens) : plan.maxTokens,
      signal,
    );
    if (!seen) break;
    timer.stop(job);
    if (warmUp) continue;
    const key = answerKey(job, plan);
    const expected = answers.get(key);
    const difference = expected && firstDifference(job, expected, seen.ids);
    if (difference) return { runs, complete: false, failure: { job, difference, ids: seen.ids } };
    answers.set(key, expected ?? seen.ids);
    runs.push({ ...job, ...seen, ids: expected ?? seen.ids }); // One list of ids for all that are equal.
  }
  return { runs, complete: runs.length === jobs.filter(({ repetition }) => repetition > 0).length };
}

/**
 * Generations of the same key must give the same ids. Greedy: whatever K. Sampled: for one K, since drafts are drawn from
 * the drafter's own distribution; the same seed then draws the same.
 */
function answerKey({ group, prompt, draftTokens }: Job, { groups }: Plan): string {
  const greedy = group.sampling.options.temperature === 0;
  return [groups.indexOf(group), prompt, greedy ? "any" : draftTokens].join(" ");
}

/** Tells how long what is left will take, from how long the same took before; warm-ups are too short to count. */
class Timer {
  readonly #now: () => number;
  /** Generations that are left, by kind. */
  readonly #left = new Map<string, number>();
  readonly #took = new Map<string, number>();
  #since = 0;
  #sum = 0;
  #count = 0;

  constructor(jobs: readonly Job[], now: () => number) {
    this.#now = now;
    for (const job of jobs) if (job.repetition > 0) this.#add(job, 1);
  }

  start(): void {
    this.#since = this.#now();
  }

  stop(job: Job): void {
    if (job.repetition === 0) return;
    const took = this.#now() - this.#since;
    this.#took.set(kind(job), took);
    this.#sum += took;
    this.#count += 1;
    this.#add(job, -1);
  }

  /** Seconds. */
  left(): number | undefined {
    if (this.#count === 0) return undefined;
    const usual = this.#sum / this.#count;
    return [...this.#left].reduce((sum, [name, n]) => sum + n * (this.#took.get(name) ?? usual), 0) / 1000;
  }

  #add(job: Job, n: number): void {
    this.#left.set(kind(job), (this.#left.get(kind(job)) ?? 0) + n);
  }
}

function kind({ group, prompt, draftTokens }: Job): string {
  return `${group.suite} ${group.context} ${group.sampling.name} ${prompt} ${draftTokens}`;
}
