import { type GenerationEvent, generate } from "../generate.js";
import type { LoadedPair } from "../load.js";
import { addon } from "../mlx/addon.js";
import { type DraftTokens, MAX_DRAFT_TOKENS } from "../options.js";
import type { GenerationStats } from "../speculative/stats.js";
import { type Conditions, conditionsSince, readCounters } from "./conditions.js";
import type { Job } from "./plan.js";

/** What one generation showed. */
export interface Observation {
  /** The answer's ids. */
  readonly ids: readonly number[];
  readonly stats: GenerationStats;
  /** Milliseconds from one arrival of tokens to the next: what a reader waits for. Tokens of one round arrive together. */
  readonly gapsMs: readonly number[];
  /** Rounds by how many tokens they added to the answer: 1, 2, … K + 1. */
  readonly roundsByTokens: readonly number[];
  /** The most memory that arrays held, weights included. */
  readonly peakBytes: number;
  readonly conditions: Conditions;
}

/** Runs one generation of a plan; undefined when the signal ended it. */
export type Generation = (
  job: Job,
  maxTokens: number,
  signal?: AbortSignal,
) => Promise<Observation | undefined>;

/** Generations with a loaded pair. */
export function generationsOf(pair: LoadedPair): Generation {
  return async ({ group, prompt, draftTokens }, maxTokens, signal) => {
    const before = readCounters();
    addon().resetPeakMemory();
    const events = generate(pair, {
      promptIds: group.prompts[prompt] ?? [],
      draftTokens,
      maxTokens,
      ...group.sampling.options,
      ...(signal ? { signal } : {}),
    });
    const { end, gapsMs, roundsByTokens } = await observe(events, rowsOfBlock(draftTokens));
    if (end.stopReason === "aborted") return undefined;
    return {
      ids: end.tokenIds,
      stats: end.stats,
      gapsMs,
      roundsByTokens,
      peakBytes: addon().memory().peak,
      conditions: conditionsSince(before),
    };
  };
}

/** The most rows of a round's block: K + 1. */
export function rowsOfBlock(draftTokens: DraftTokens): number {
  return (draftTokens === "auto" ? MAX_DRAFT_TOKENS : draftTokens) + 1;
}

async function observe(events: AsyncIterable<GenerationEvent>, mostTokens: number) {
  const gapsMs: number[] = [];
  const roundsByTokens = Array.from({ length: mostTokens }, () => 0);
  let last: number | undefined;
  for await (const event of events) {
    if (event.type === "end") return { end: event, gapsMs, roundsByTokens };
    if (event.type !== "tokens" || event.ids.length === 0) continue;
    const now = performance.now();
    if (last !== undefined) {
      gapsMs.push(now - last);
      const place = event.ids.length - 1;
      roundsByTokens[place] = (roundsByTokens[place] ?? 0) + 1;
    }
    last = now;
  }
  throw new Error("the generation ended without its end event");
}
