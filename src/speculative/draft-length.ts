import { Acceptance } from "./acceptance.js";
import { MeasuredCosts, NOMINAL_COSTS, type RoundCosts } from "./round-costs.js";

/** Share of the time that may go into looking at what is not believed best, by what it is believed to cost. */
const LOOK_SHARE = 0.006;
/** Plain steps that may go into it before there was any time. */
const LOOK_ALLOWANCE = 1;
/** Rounds from one look to the next: each finds them doubled, up to the second. */
const SHORTEST = 8;
const LONGEST = 48;
/** Drafted rounds before plain decoding is looked at for the first time. */
const BEFORE_PLAIN = 2;
/** Of so many rounds, or fewer, a K's cost may be a quarter less than is thought; of more, as medians spread, by less. */
const GUESSED = 4;
/** Plain rounds without which nothing is said of plain decoding: two that are not long ago. */
const ENOUGH = 1.5;
/** Rounds without drafts that make older ones count less, at most. */
const LONG_AGO = 8;

/** What generations of one pair leave to the next: costs, and a first guess of acceptance. */
export interface DraftLengthMemory {
  readonly costs: MeasuredCosts;
  acceptance: Acceptance | undefined;
  /** In plain steps: all of the time, and what looking has cost. */
  readonly spent: { time: number; looking: number };
}

const nothing = () => ({ time: 0, looking: 0 });

export function newMemory(): DraftLengthMemory {
  return { costs: new MeasuredCosts(), acceptance: undefined, spent: nothing() };
}

/** What a round came to. */
export interface RoundOutcome {
  readonly proposed: number;
  readonly accepted: number;
  readonly ms: number;
}

/** Says how many tokens the next round shall propose. */
export interface DraftLength {
  /** @param room the most that this round may propose */
  choose(room: number): number;
  /** Tells what the round came to. */
  record(outcome: RoundOutcome): void;
  /** What it went by, for the account; null where K is fixed. */
  summarize(): AdaptiveStats | null;
}

/** How K was chosen, and what it brought. */
export interface AdaptiveStats {
  /** `measured`: by what rounds took; `nominal`: by given costs, so that a seed gives the same text on every machine. */
  readonly costs: "measured" | "nominal";
  /** Milliseconds of a round by K as they were in the end, null where no round of that K was measured. */
  readonly msByDraftTokens: readonly (number | null)[];
  /** Time that plain decoding would have taken ÷ time taken; null where no plain round was measured. */
  readonly speedUp: number | null;
}

/** The same K in every round. */
export function fixedLength(draftTokens: number): DraftLength {
  return { choose: (room) => Math.min(draftTokens, room), record() {}, summarize: () => null };
}

/**
 * Chooses K for each round, 0 included, by expected tokens ÷ expected time, and spends a little time on looking at what is not
 * believed best: at plain decoding while drafting, at drafting while it does not pay, at longer drafts whose cost is not known.
 * It knows what earlier rounds came to, and nothing of the next one: so it changes no text (docs/draft-length.md).
 */
export class AdaptiveLength implements DraftLength {
  readonly #costs: RoundCosts;
  readonly #acceptance: Acceptance;
  readonly #most: number;
  readonly #spent: DraftLengthMemory["spent"];
  #rounds = 0;
  #sincePlain = 0;
  #sinceDrafted = 0;
  #sinceLook = 0;
  #interval = SHORTEST;
  #drafting = true;
  /** Milliseconds: of the rounds, and of plain decoding as fast as the machine was at each. */
  #took = 0;
  #plainMs = 0;

  /** @param memory absent: costs are nominal and acceptance begins anew, so that equal texts give equal choices */
  constructor(most: number, memory?: DraftLengthMemory) {
    this.#most = most;
    this.#costs = memory?.costs ?? NOMINAL_COSTS;
    this.#spent = memory?.spent ?? nothing();
    this.#acceptance = new Acceptance(memory?.acceptance);
    if (memory) memory.acceptance = this.#acceptance;
  }

  choose(room: number): number {
    const most = Math.min(this.#most, room);
    if (most <= 0) return 0;
    const tokens = this.#acceptance.expectedTokens(most);
    const worth = (k: number) => (tokens[k] ?? 0) / this.#costs.of(k);
    const best = largest(most, worth);
    if (best > 0 !== this.#drafting) {
      this.#drafting = best > 0;
      this.#interval = SHORTEST;
    }
    const look = this.#lookFrom(best, tokens);
    if (look === undefined) return best;
    const loss = (this.#costs.of(look) - (tokens[look] ?? 0) / worth(best)) / this.#costs.of(0);
    const { time, looking } = this.#spent;
    if (looking + loss > LOOK_ALLOWANCE + LOOK_SHARE * time) return best;
    this.#spent.looking += loss;
    this.#sinceLook = 0;
    // The first look at plain decoding is one sample: the next comes soon.
    if (this.#costs.samples(0) > 0) this.#interval = Math.min(LONGEST, 2 * this.#interval);
    return look;
  }

  record({ proposed, accepted, ms }: RoundOutcome): void {
    // The first round after a prompt pays for what is not in the processor's caches yet.
    if (this.#rounds > 0) {
      this.#costs.add(proposed, ms);
      this.#took += ms;
      this.#plainMs += (accepted + 1) * this.#costs.of(0);
    }
    this.#rounds += 1;
    this.#spent.time += this.#costs.of(proposed) / this.#costs.of(0);
    this.#sinceLook += 1;
    this.#sincePlain = proposed > 0 ? this.#sincePlain + 1 : 0;
    this.#sinceDrafted += 1;
    if (proposed === 0) return;
    this.#acceptance.add(proposed, accepted, Math.min(LONG_AGO, this.#sinceDrafted));
    this.#sinceDrafted = 0;
    if (!this.#drafting && accepted > 0) this.#interval = SHORTEST;
  }

  summarize(): AdaptiveStats {
    const { measured } = this.#costs;
    const known = (k: number) => measured && this.#costs.samples(k) > 0;
    const ms = Array.from({ length: this.#most + 1 }, (_, k) => (known(k) ? this.#costs.of(k) : null));
    return {
      costs: measured ? "measured" : "nominal",
      msByDraftTokens: ms.slice(0, ms.findLastIndex((cost) => cost !== null) + 1),
      speedUp:
        this.#costs.samples(0) >= ENOUGH && measured && this.#took > 0 ? this.#plainMs / this.#took : null,
    };
  }

  /** What to look at now instead of the best K; undefined: nothing. */
  #lookFrom(best: number, tokens: readonly number[]): number | undefined {
    const most = tokens.length - 1;
    if (best === 0) {
      if (this.#sinceDrafted < this.#interval) return undefined;
      return 1 + largest(most - 1, (k) => (tokens[k + 1] ?? 0) / this.#costs.of(k + 1));
    }
    if (!this.#costs.measured) return undefined;
    if (this.#costs.samples(0) === 0 && this.#rounds > BEFORE_PLAIN) return 0;
    if (this.#sinceLook < this.#interval) return undefined;
    // Another K that would pay if it cost as much less than is thought as its rounds leave open; of longer drafts also if each did.
    const own = this.#costs.of(best);
    const hoped = (k: number) => {
      const thought = this.#costs.of(k);
      if (k === 0 || k === best) return thought;
      const least = thought * (1 - 0.5 / Math.sqrt(Math.max(GUESSED, this.#costs.samples(k))));
      return k < best ? least : Math.min(least, own + (thought - own) / 2);
    };
    const other = largest(most, (k) => (tokens[k] ?? 0) / hoped(k));
    if (other !== best && other > 0 && this.#sincePlain <= LONGEST) return other;
    return this.#sincePlain >= this.#interval ? 0 : undefined;
  }
}

/** The K of 0 … `most` with the largest value; the smaller of equals. */
function largest(most: number, value: (k: number) => number): number {
  let best = 0;
  for (let k = 1; k <= most; k++) if (value(k) > value(best)) best = k;
  return best;
}
