import { MAX_DRAFT_TOKENS } from "../options.js";
import { median } from "../quantiles.js";

/** What a round costs by K, the number of its drafts, in a unit that is the same for all K. */
export interface RoundCosts {
  /** False: given, not measured, and the same at any time. */
  readonly measured: boolean;
  of(draftTokens: number): number;
  /** Rounds of this K that the estimate comes from. */
  samples(draftTokens: number): number;
  /** Tells what a round took. */
  add(draftTokens: number, ms: number): void;
}

/** A draft with its row in the target's step, as a share of a plain step: a guess. */
const NOMINAL_SLOPE = 0.15;
const nominal = (draftTokens: number) => 1 + NOMINAL_SLOPE * draftTokens;

/** Costs that nobody measures, so that what follows from them is the same on every machine, at any time. */
export const NOMINAL_COSTS: RoundCosts = { measured: false, of: nominal, samples: () => 0, add() {} };

/** Rounds of one K that its estimate comes from. */
const SAMPLES = 25;
/** Rounds that tell how fast the machine is now. */
const RECENT = 9;
/** A round that seems to take so much more or less than was thought is believed no farther. */
const FAR = 3;
/** Rounds of a K below which it does not tell how fast the machine is. */
const FEW = 3;
/** Rounds that the line through all K weighs, where one K's own differ from it. */
const LINE_WEIGHT = 2;
/** What the guessed slope weighs: as two rounds one K apart. */
const SLOPE_WEIGHT = 2;

/**
 * Costs as they are measured, robust against a machine that does other things too: a round is held against the rounds just
 * before it, so that what makes all of them slow changes nothing between K, and medians are taken. K that were not tried
 * are guessed from a line through the others.
 */
export class MeasuredCosts implements RoundCosts {
  readonly measured = true;
  /** By K: cost ÷ the unit of its time. */
  readonly #relative = new Map<number, number[]>();
  readonly #recent: { readonly draftTokens: number; readonly ms: number }[] = [];
  /** Milliseconds, now. */
  #unit: number | undefined;
  #curve: readonly number[] = [];

  samples(draftTokens: number): number {
    return this.#relative.get(draftTokens)?.length ?? 0;
  }

  /** Milliseconds, as the machine is now; before any round in plain steps. */
  of(draftTokens: number): number {
    return (this.#unit ?? 1) * this.#relativeTo(draftTokens);
  }

  add(draftTokens: number, ms: number): void {
    if (!(ms > 0)) return;
    const unit = this.#unit ?? ms / nominal(draftTokens);
    const own = this.#relative.get(draftTokens) ?? [];
    // Among its like a round tells how fast the machine is, and nothing about other K.
    const alike = this.#recent.every((round) => round.draftTokens === draftTokens);
    if (!alike || own.length < RECENT) {
      const thought = this.#relativeTo(draftTokens);
      own.push(Math.min(thought * FAR, Math.max(thought / FAR, ms / unit)));
      if (own.length > SAMPLES) own.shift();
      this.#relative.set(draftTokens, own);
      this.#curve = this.#fit();
    }
    this.#recent.push({ draftTokens, ms });
    if (this.#recent.length > RECENT) this.#recent.shift();
    // By what K cost themselves, not by the line, which moves when another K is tried.
    const units = this.#recent.flatMap((round) => {
      const known = this.#relative.get(round.draftTokens) ?? [];
      return known.length >= FEW ? [round.ms / median(known)] : [];
    });
    this.#unit = units.length > 0 ? median(units) : unit;
  }

  #relativeTo(draftTokens: number): number {
    return this.#curve[draftTokens] ?? nominal(draftTokens);
  }

  /** A line through the medians of all K, its slope held by the guess; where a K has rounds of its own, mostly those. */
  #fit(): number[] {
    const points = [...this.#relative].map(([k, values]) => ({ k, n: values.length, cost: median(values) }));
    const total = points.reduce((sum, { n }) => sum + n, 0);
    const mean = (of: (point: (typeof points)[number]) => number) =>
      points.reduce((sum, point) => sum + point.n * of(point), 0) / total;
    const [k, cost] = [mean((point) => point.k), mean((point) => point.cost)];
    const guess = (NOMINAL_SLOPE * cost) / nominal(k);
    const spread = total * mean((point) => (point.k - k) ** 2);
    const together = total * mean((point) => (point.k - k) * (point.cost - cost));
    const slope = Math.max(0, (together + SLOPE_WEIGHT * guess) / (spread + SLOPE_WEIGHT));
    return Array.from({ length: MAX_DRAFT_TOKENS + 1 }, (_, at) => {
      const line = Math.max(cost / 8, cost + slope * (at - k));
      const own = points.find((point) => point.k === at);
      return own ? (own.n * own.cost + LINE_WEIGHT * line) / (own.n + LINE_WEIGHT) : line;
    });
  }
}
