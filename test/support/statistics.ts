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

/** The chance of a statistic that large or larger where the expectation holds: the upper incomplete gamma function. */
export function pValue({ statistic, degrees }: ChiSquare): number {
  if (!Number.isFinite(statistic)) return 0;
  if (degrees < 1 || statistic <= 0) return 1;
  // Q(a, x) by recurrence in a, from a = 1/2 or 1 up in whole steps.
  const x = statistic / 2;
  const half = degrees % 2 === 1;
  let a = half ? 0.5 : 1;
  let q = half ? errorFunctionTail(Math.sqrt(x)) : Math.exp(-x);
  let term = half ? (Math.sqrt(x / Math.PI) * Math.exp(-x)) / 0.5 : x * Math.exp(-x);
  while (a < degrees / 2 - 0.25) {
    q += term;
    a += 1;
    term *= x / a;
  }
  return Math.min(1, q);
}

/** erfc(z) for z ≥ 0, by its continued fraction, or by the series of erf near 0. */
function errorFunctionTail(z: number): number {
  if (z < 2) {
    let sum = z;
    let term = z;
    for (let n = 1; n < 80; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
  return Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
}

/** p-values of many tests at once, by Holm: below α only where the chance of even one such is below α. In the same order. */
export function holm(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()].sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const adjusted = new Array<number>(pValues.length);
  let least = 0;
  for (const [rank, index] of order.entries()) {
    least = Math.max(least, Math.min(1, (pValues.length - rank) * (pValues[index] ?? 1)));
    adjusted[index] = least;
  }
  return adjusted;
}

/** Above it an honest sample is found once in thirty thousand tests; the samples here are fixed by their seeds. */
export const FAR = 4;
