import { MAX_DRAFT_TOKENS } from "../options.js";

/** Rounds after which what was seen counts half. Texts change quickly, slowly, or not at all: each view is kept. */
const HALF_LIVES = [6, 24, 200] as const;
/** How well a view has foretold counts half after 64 rounds. */
const CREDIT_DECAY = 0.5 ** (1 / 64);
/** What is assumed of a drafter before it was seen: that two of three drafts are right. */
const FIRST_GUESS = 0.67;
/** Rounds that a guess weighs: that of the first place, and that a place is as good as the one before it. */
const GUESS_WEIGHT = 2;
/** Rounds that an earlier generation weighs at most: another text is another matter. */
const MEMORY_WEIGHT = 4;

/** Accepted and seen drafts by place, forgotten at one speed. */
class View {
  readonly #decay: number;
  readonly #accepted = new Float64Array(MAX_DRAFT_TOKENS);
  readonly #seen = new Float64Array(MAX_DRAFT_TOKENS);
  /** Of the drafts at each place, given that all before were accepted. A place that was seen seldom is like the one before it. */
  readonly shares = new Float64Array(MAX_DRAFT_TOKENS);

  constructor(halfLife: number, earlier?: View) {
    this.#decay = 0.5 ** (1 / halfLife);
    if (earlier) {
      for (const [place, seen] of earlier.#seen.entries()) {
        const scale = Math.min(1, MEMORY_WEIGHT / Math.max(seen, Number.MIN_VALUE));
        this.#seen[place] = seen * scale;
        this.#accepted[place] = (earlier.#accepted[place] ?? 0) * scale;
      }
    }
    this.#share();
  }

  add(judged: number, accepted: number, age: number): void {
    const decay = this.#decay ** age;
    for (let place = 0; place < MAX_DRAFT_TOKENS; place++) {
      const now = place < judged ? 1 : 0;
      this.#seen[place] = (this.#seen[place] ?? 0) * decay + now;
      this.#accepted[place] = (this.#accepted[place] ?? 0) * decay + (place < accepted ? now : 0);
    }
    this.#share();
  }

  #share(): void {
    let share = FIRST_GUESS;
    for (let place = 0; place < MAX_DRAFT_TOKENS; place++) {
      const weight = (this.#seen[place] ?? 0) + GUESS_WEIGHT;
      share = ((this.#accepted[place] ?? 0) + GUESS_WEIGHT * share) / weight;
      this.shares[place] = share;
    }
  }
}

/**
 * How many tokens a round of K drafts may be expected to give, from what rounds before it gave. Views that forget at different
 * speeds are mixed by how well each has foretold the rounds so far.
 */
export class Acceptance {
  readonly #views: readonly View[];
  /** Logarithm of the probability that a view gave to what came. */
  readonly #credit: number[];

  /** @param earlier what another generation saw: a beginning, of little weight */
  constructor(earlier?: Acceptance) {
    const slowest = earlier ? earlier.#views.at(-1) : undefined;
    this.#views = HALF_LIVES.map((halfLife) => new View(halfLife, slowest));
    this.#credit = earlier ? [...earlier.#credit] : HALF_LIVES.map(() => 0);
  }

  /**
   * Adds a round.
   *
   * @param age rounds since the last one that drafted; 1: none between
   */
  add(proposed: number, accepted: number, age = 1): void {
    // Behind the first rejection nothing is told.
    const judged = Math.min(proposed, accepted + 1);
    for (const [index, view] of this.#views.entries()) {
      let foretold = CREDIT_DECAY * (this.#credit[index] ?? 0);
      for (let place = 0; place < judged; place++) {
        const share = view.shares[place] ?? 0;
        foretold += Math.log(place < accepted ? share : 1 - share);
      }
      this.#credit[index] = foretold;
      view.add(judged, accepted, age);
    }
  }

  /** Tokens of a round of K drafts, its own token included, for K = 0 … `most`. */
  expectedTokens(most: number): number[] {
    const highest = Math.max(...this.#credit);
    const weights = this.#credit.map((credit) => Math.exp(credit - highest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const tokens = Array.from({ length: most + 1 }, () => 1);
    for (const [index, view] of this.#views.entries()) {
      let reached = (weights[index] ?? 0) / total;
      let more = 0;
      for (let place = 0; place < most; place++) {
        reached *= view.shares[place] ?? 0;
        more += reached;
        tokens[place + 1] = (tokens[place + 1] ?? 0) + more;
      }
    }
    return tokens;
  }
}
