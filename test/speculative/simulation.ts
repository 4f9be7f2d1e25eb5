// Generations on a clock of their own: what `auto` takes against every fixed K, where acceptance and costs are known.
import { mulberry32 } from "../../src/bench/statistics.js";
import { MAX_DRAFT_TOKENS } from "../../src/options.js";
import {
  AdaptiveLength,
  type DraftLength,
  type DraftLengthMemory,
  fixedLength,
  newMemory,
} from "../../src/speculative/draft-length.js";

/** Milliseconds of a round by K. */
export type CostOf = (draftTokens: number) => number;

/** Targets and drafters as they are found: names for the docs. */
export const COSTS = {
  "cheap drafter": (k) => 1 + 0.08 * k,
  "usual drafter": (k) => 1 + 0.25 * k,
  "embedded pair": (k) => (k > 0 ? 1.2 + 0.3 * k : 1),
  "dear drafter": (k) => 1 + 0.6 * k,
  "blocks in tiles": (k) => 1 + 0.1 * k + (k >= 4 ? 0.5 : 0) + (k >= 8 ? 0.7 : 0),
  "a row costs a step": (k) => 1 + 1.05 * k,
} as const satisfies Record<string, CostOf>;

/** Chances that a draft is right; by mixing a drafter that knows the text with noise. */
export const ACCEPTANCES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95] as const;

/** For each position of a text whether the drafter is right there. */
export type Text = readonly boolean[];

/** A text whose drafter is right with a chance that may change on the way. */
export function textOf(length: number, seed: number, chance: (position: number) => number): Text {
  const random = mulberry32(seed);
  return Array.from({ length }, (_, position) => random() < chance(position));
}

export interface Simulated {
  readonly ms: number;
  /** How often each K ran. */
  readonly rounds: readonly number[];
}

/** Texts one after the other, each a generation; the clock that is measured with is noisy, the one that counts is not. */
export function simulate(
  texts: readonly Text[],
  costOf: CostOf,
  lengthOf: () => DraftLength,
  { seed = 1, noise = 0.05 }: { readonly seed?: number; readonly noise?: number } = {},
): Simulated {
  const random = mulberry32(seed);
  const rounds = Array.from({ length: MAX_DRAFT_TOKENS + 1 }, () => 0);
  let ms = 0;
  for (const text of texts) {
    const length = lengthOf();
    // The first token is the prompt's.
    for (let decided = 1; decided < text.length; ) {
      const proposed = length.choose(text.length - decided - 1);
      let accepted = 0;
      while (accepted < proposed && text[decided + accepted]) accepted++;
      const cost = costOf(proposed);
      ms += cost;
      rounds[proposed] = (rounds[proposed] ?? 0) + 1;
      length.record({ proposed, accepted, ms: cost * disturbance(random, noise) });
      decided += accepted + 1;
    }
  }
  return { ms, rounds };
}

/** A few percent up and down; of fifty rounds one takes up to five times as long. */
function disturbance(random: () => number, noise: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(noise * normal) * (noise > 0 && random() < 0.02 ? 1 + 4 * random() : 1);
}

/** `auto` with measured costs, from one generation to the next. */
export function measuredAuto(memory: DraftLengthMemory = newMemory()): () => DraftLength {
  return () => new AdaptiveLength(MAX_DRAFT_TOKENS, memory);
}

/** The fixed K that takes least, 0 among them. */
export function bestFixed(
  texts: readonly Text[],
  costOf: CostOf,
): { readonly k: number; readonly ms: number } {
  return Array.from({ length: MAX_DRAFT_TOKENS + 1 }, (_, k) => ({
    k,
    ms: simulate(texts, costOf, () => fixedLength(k), { noise: 0 }).ms,
  })).reduce((best, one) => (one.ms < best.ms ? one : best));
}

/** One place of the grid. */
export interface GridRow {
  readonly costs: keyof typeof COSTS;
  readonly acceptance: number;
  readonly tokens: number;
  readonly best: number;
  /** Time of `auto` ÷ that of the best fixed K, which is known only afterwards. */
  readonly ratio: number;
  /** The same ÷ plain decoding. */
  readonly againstPlain: number;
}

/** The grid: every cost with every acceptance; ratios are of all seeds together. */
export function grid(
  tokens: number,
  seeds: number,
  answers = 1,
  auto: () => () => DraftLength = () => measuredAuto(),
): GridRow[] {
  return names(COSTS).flatMap((costs) =>
    ACCEPTANCES.map((acceptance) => {
      const costOf = COSTS[costs];
      const sum = { auto: 0, plain: 0, fixed: 0 };
      let best = 0;
      for (let seed = 1; seed <= seeds; seed++) {
        const texts = Array.from({ length: answers }, (_, i) =>
          textOf(tokens, 1000 * seed + i, () => acceptance),
        );
        const fixed = bestFixed(texts, costOf);
        best = fixed.k;
        sum.fixed += fixed.ms;
        sum.plain += simulate(texts, costOf, () => fixedLength(0), { noise: 0 }).ms;
        sum.auto += simulate(texts, costOf, auto(), { seed }).ms;
      }
      const [ratio, againstPlain] = [sum.auto / sum.fixed, sum.auto / sum.plain];
      return { costs, acceptance, tokens: tokens * answers, best, ratio, againstPlain };
    }),
  );
}

function names<T extends object>(of: T): (keyof T)[] {
  const keys: (keyof T)[] = [];
  for (const key in of) keys.push(key);
  return keys;
}
