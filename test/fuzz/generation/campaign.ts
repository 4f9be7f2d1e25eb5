import fc from "fast-check";
import { type Configuration, configurations, dtypeOf } from "./configuration.js";
import { Finding, type TrialReport, tryOut } from "./trial.js";

export { plainOnDisk } from "./plain.js";
export { PLANTS } from "./planted.js";
export { tryOut };

/** A case that did not hold, as small as it could be made. */
export interface Failure {
  readonly configuration: Configuration;
  readonly message: string;
  readonly judge?: string;
}

export interface CampaignOptions {
  readonly runs: number;
  readonly seed: number;
  readonly plant?: Parameters<typeof tryOut>[1];
  /** Ends it earlier; what was tried counts. */
  readonly minutes?: number;
  /** Told after each case. */
  readonly onCase?: (done: number) => void;
}

/** Tries random cases until one fails, and shrinks that one. */
export async function campaign({ runs, seed, plant, minutes, onCase }: CampaignOptions): Promise<{
  readonly tally: Tally;
  readonly failure?: Failure;
}> {
  const tally = new Tally();
  const details = await fc.check(
    fc.asyncProperty(configurations, async (configuration) => {
      tally.add(configuration, await tryOut(configuration, plant));
      onCase?.(tally.cases);
    }),
    { numRuns: runs, seed, ...(minutes ? { interruptAfterTimeLimit: minutes * 60_000 } : {}) },
  );
  if (!details.failed) return { tally };
  const [configuration] = details.counterexample ?? [];
  if (!configuration) throw details.errorInstance ?? new Error("the campaign was interrupted");
  const error = details.errorInstance;
  const message = error instanceof Error ? error.message : String(error);
  return {
    tally,
    failure: { configuration, message, ...(error instanceof Finding ? { judge: error.judge } : {}) },
  };
}

/** What was tried, counted. */
export class Tally {
  cases = 0;
  /** Cases by axis and value. */
  readonly axes = new Map<string, Map<string, number>>();
  readonly sums = {
    tokens: 0,
    rounds: 0,
    proposed: 0,
    accepted: 0,
    partlyAccepted: 0,
    cachedPromptTokens: 0,
    roundsDraftedAfresh: 0,
    rowsInFloat64: 0,
  };

  add(configuration: Configuration, report: TrialReport): void {
    const { model, run } = configuration;
    this.cases += 1;
    const values: Record<string, string | number | boolean> = {
      family: model.family,
      packaging: model.packing === "plain" ? model.packaging : "mlx",
      packing: model.packing,
      head: model.head,
      dtype: dtypeOf(configuration),
      K: run.draftTokens,
      sampling: run.sampling,
      cache: run.cache,
      ended: report.stopReason,
      window: report.pastWindow ? "passed" : "not reached",
    };
    for (const [axis, value] of Object.entries(values)) {
      const counts = this.axes.get(axis) ?? new Map<string, number>();
      counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
      this.axes.set(axis, counts);
    }
    this.sums.tokens += report.tokens;
    this.sums.rounds += report.rounds;
    this.sums.proposed += report.proposed;
    this.sums.accepted += report.accepted;
    this.sums.partlyAccepted += report.partly;
    this.sums.cachedPromptTokens += report.cachedPromptTokens;
    this.sums.roundsDraftedAfresh += report.fresh;
    this.sums.rowsInFloat64 += report.reference;
  }
}
