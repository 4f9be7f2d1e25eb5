import { MAX_DRAFT_TOKENS } from "../options.js";
import { median } from "../quantiles.js";

/** What a round costs by K, the number of its drafts, in a unit that is the same for all K. */
export interface RoundCosts {
  /** False: given, not measured, and the same at any time. */
  readonly measured: boolean;
  of(draftTokens: number): number;
  /** Rounds of this K that the estimate comes from; those of long ago count less. */
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
/** Rounds after which what was seen of a K counts half. */
const HALF_LIFE = 200;
/** Rounds that the line through all K weighs, where one K's own differ from it. */
const LINE_WEIGHT = 6;
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
  readonly #own: (Samples | undefined)[] = [];
  readonly #recent: { readonly draftTokens: number; readonly ms: number }[] = [];
  /** Milliseconds, now. */
  #unit: number | undefined;
  #rounds = 0;
  readonly #curve = Float64Array.from({ length: MAX_DRAFT_TOKENS + 1 }, (_, k) => nominal(k));

  samples(draftTokens: number): number {
    return this.#weightOf(draftTokens);
  }

  /** Milliseconds, as the machine is now; before any round in plain steps. */
  of(draftTokens: number): number {
    return (this.#unit ?? 1) * this.#relativeTo(draftTokens);
  }

  add(draftTokens: number, ms: number): void {
    if (!(ms > 0)) return;
    const unit = this.#unit ?? ms / nominal(draftTokens);
    this.#own[draftTokens] ??= new Samples();
    const own = this.#own[draftTokens];
    this.#rounds += 1;
    // Among its like a round tells how fast the machine is, and nothing about other K.
    const alike = this.#recent.every((round) => round.draftTokens === draftTokens);
    if (!alike || own.count < RECENT) {
      const thought = this.#relativeTo(draftTokens);
      own.last = this.#rounds;
      own.add(Math.min(thought * FAR, Math.max(thought / FAR, ms / unit)));
      this.#fit();
    }
    this.#recent.push({ draftTokens, ms });
    if (this.#recent.length > RECENT) this.#recent.shift();
    // By what K cost themselves, not by the line, which moves when another K is tried.
    const units: number[] = [];
    for (const round of this.#recent) {
      const known = this.#own[round.draftTokens];
      if (known && known.count >= FEW) units.push(round.ms / known.median);
    }
    this.#unit = units.length > 0 ? median(units) : unit;
  }

  /** Rounds of this K; those of long ago, when the process was cold or the machine another, count less. */
  #weightOf(draftTokens: number): number {
    const own = this.#own[draftTokens];
    return own ? own.count * 0.5 ** ((this.#rounds - own.last) / HALF_LIFE) : 0;
  }

  #relativeTo(draftTokens: number): number {
    return this.#curve[draftTokens] ?? nominal(draftTokens);
  }

  /** A line through the medians of all K, its slope held by the guess; where a K has rounds of its own, mostly those. */
  #fit(): void {
    let [total, k, cost] = [0, 0, 0];
    for (let at = 0; at < this.#own.length; at++) {
      const own = this.#own[at];
      if (!own) continue;
      const weight = this.#weightOf(at);
      total += weight;
      k += weight * at;
      cost += weight * own.median;
    }
    k /= total;
    cost /= total;
    let [spread, together] = [SLOPE_WEIGHT, (SLOPE_WEIGHT * NOMINAL_SLOPE * cost) / nominal(k)];
    for (let at = 0; at < this.#own.length; at++) {
      const own = this.#own[at];
      if (!own) continue;
      const weight = this.#weightOf(at);
      spread += weight * (at - k) ** 2;
      together += weight * (at - k) * (own.median - cost);
    }
    const slope = Math.max(0, together / spread);
    for (let at = 0; at < this.#curve.length; at++) {
      const line = Math.max(cost / 8, cost + slope * (at - k));
      const own = this.#own[at];
      const weight = this.#weightOf(at);
      this.#curve[at] = own ? (weight * own.median + LINE_WEIGHT * line) / (weight + LINE_WEIGHT) : line;
    }
  }
}

/** The last rounds of one K. Their median is kept: it is asked for in each round, of all K. */
class Samples {
  readonly #values: number[] = [];
  median = Number.NaN;
  /** The round of the last one. */
  last = 0;

  get count(): number {
    return this.#values.length;
  }

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > SAMPLES) this.#values.shift();
    this.median = median(this.#values);
  }
}
