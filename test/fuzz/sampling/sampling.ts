import { GREEDY, type SamplingOptions } from "../../../src/speculative/sampling.js";
import { samplingVerifier, type Verifier } from "../../../src/speculative/verifier.js";
import { type ChiSquare, chiSquare, holm, pValue } from "../../support/statistics.js";
import { countTexts, PAIR, sampledTexts, wordProbabilities } from "../../support/table-pair.js";

/** Settings and K that are tried together. */
export interface Cell {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** K, or a rule that chooses it from what is written. */
  readonly draftTokens: number | ((text: readonly number[]) => number);
}

/** Every combination of cuts. */
export const CUTS: readonly Omit<Cell, "draftTokens">[] = [0.6, 1.5].flatMap((temperature) =>
  [0, 3].flatMap((topK) =>
    [1, 0.8].flatMap((topP) => [0, 0.2].map((minP) => ({ temperature, topK, topP, minP }))),
  ),
);
export const DRAFTS = [1, 2, 3, 4, 5, 6];

/** One test of one cell. */
export interface SamplingRow extends Omit<Cell, "draftTokens"> {
  readonly draftTokens: string;
  /** Which tokens were counted. */
  readonly words: string;
  readonly seeds: number;
  readonly degrees: number;
  readonly statistic: number;
  readonly p: number;
  /** By Holm, over all rows together. */
  readonly corrected: number;
}

/** First token, first three together, and the two around the end of the first block, where that is near enough. */
const MOST = 4;
const wordsOf = (draftTokens: Cell["draftTokens"]): readonly (readonly [first: number, count: number])[] => {
  const end = Math.min(typeof draftTokens === "number" ? draftTokens : 1, MOST - 2);
  return [
    [0, 1],
    [0, 3],
    [end, 2],
  ];
};

/** Counts sampled texts against the target's own probabilities; every seed is a text. */
export async function compareDistributions(
  cells: readonly Cell[],
  {
    seeds,
    verifierOf = samplingVerifier,
    onCell,
  }: {
    readonly seeds: number;
    readonly verifierOf?: (options: SamplingOptions) => Verifier;
    readonly onCell?: (done: number) => void;
  },
): Promise<SamplingRow[]> {
  const rows: Omit<SamplingRow, "corrected">[] = [];
  for (const [index, { draftTokens, ...cuts }] of cells.entries()) {
    const options = { ...GREEDY, ...cuts };
    // Cells have seeds of their own, so that they are independent.
    const verifiers = Array.from({ length: seeds }, (_, i) =>
      verifierOf({ ...options, seed: index * seeds + i }),
    );
    const texts = await sampledTexts(PAIR, verifiers, { draftTokens, length: MOST });
    for (const [first, count] of wordsOf(draftTokens)) {
      const found = texts.map((text) => text.slice(first, first + count));
      const chi: ChiSquare = chiSquare(
        countTexts(found, PAIR.target.length, count),
        wordProbabilities(PAIR.target, options, first, count),
      );
      const { statistic, degrees } = chi;
      const K = typeof draftTokens === "number" ? String(draftTokens) : "chosen";
      const words = count === 1 ? `place ${first + 1}` : `places ${first + 1}–${first + count}`;
      rows.push({ ...cuts, draftTokens: K, words, seeds, degrees, statistic, p: pValue(chi) });
    }
    onCell?.(index + 1);
  }
  const corrected = holm(rows.map(({ p }) => p));
  return rows.map((row, i) => ({ ...row, corrected: corrected[i] ?? 1 }));
}
