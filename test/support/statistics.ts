/** How far counts are from what was expected, in standard deviations of the chi-square distribution. */
export interface ChiSquare {
  readonly statistic: number;
  readonly degrees: number;
  /** By Wilson and Hilferty: near a standard normal where the expectation holds. */
  readonly z: number;
}

/**
 * Pearson's test of counts against probabilities. Cells that expect fewer than five are put together; a count where
 * nothing is expected is infinitely far.
 */
export function chiSquare(counts: readonly number[], probabilities: readonly number[]): ChiSquare {
  const total = counts.reduce((sum, n) => sum + n, 0);
  const cells: { found: number; expected: number }[] = [];
  const rest = { found: 0, expected: 0 };
  for (const [i, probability] of probabilities.entries()) {
    const found = counts[i] ?? 0;
    const expected = probability * total;
    if (expected === 0 && found > 0) return { statistic: Infinity, degrees: 1, z: Infinity };
    if (expected >= 5) cells.push({ found, expected });
    else {
      rest.found += found;
      rest.expected += expected;
    }
  }
  if (rest.expected >= 5) cells.push(rest);
  const statistic = cells.reduce((sum, { found, expected }) => sum + (found - expected) ** 2 / expected, 0);
  const degrees = cells.length - 1;
  const spread = 2 / (9 * degrees);
  const z = (Math.cbrt(statistic / degrees) - (1 - spread)) / Math.sqrt(spread);
  return { statistic, degrees, z };
}

/** Above it an honest sample is found once in thirty thousand tests; the samples here are fixed by their seeds. */
export const FAR = 4;
