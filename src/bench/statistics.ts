import { median, quantile } from "../quantiles.js";

export type Interval = readonly [low: number, high: number];

/** Share of all repetitions of a measurement whose interval holds the true median. */
export const CONFIDENCE = 0.95;
const RESAMPLES = 2000;

/**
 * Percentile bootstrap of the median (Efron 1979). The draws are seeded: the same values, the same interval. Of five
 * values it is their whole range, which holds the true median in 94% of cases; of fewer it holds it less often.
 */
export function bootstrapInterval(values: readonly number[]): Interval {
  const random = mulberry32(values.length);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  );
  const tail = (1 - CONFIDENCE) / 2;
  return [quantile(medians, tail), quantile(medians, 1 - tail)];
}

/** Uniform numbers in [0, 1) by Tommy Ettinger's generator. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Mann–Whitney test, one-sided and exact: how likely the values of `now` would lie as low against those of `before`, were
 * both drawn from one distribution. Ties count half (the probability is then an upper bound within half a rank).
 */
export function probabilityOfLower(now: readonly number[], before: readonly number[]): number {
  let u = 0; // Pairs in which `now` is the higher.
  for (const a of now) for (const b of before) u += a > b ? 1 : a === b ? 0.5 : 0;
  const ways = waysToReach(now.length, before.length);
  const all = ways.reduce((sum, n) => sum + n, 0);
  const asLow = ways.slice(0, Math.ceil(u) + 1).reduce((sum, n) => sum + n, 0);
  return asLow / all;
}

/** In how many orders of m and n values U is 0, 1, … m·n. */
function waysToReach(m: number, n: number): readonly number[] {
  if (m === 0 || n === 0) return [1];
  // The largest value is of the first kind and above all n of the second, or of the second.
  const table: (readonly number[])[][] = [];
  for (let i = 0; i <= m; i++) {
    const row: (readonly number[])[] = [];
    for (let j = 0; j <= n; j++) {
      const first = table[i - 1]?.[j] ?? [];
      const second = row[j - 1] ?? [];
      row.push(
        i === 0 || j === 0
          ? [1]
          : Array.from({ length: i * j + 1 }, (_, u) => (first[u - j] ?? 0) + (second[u] ?? 0)),
      );
    }
    table.push(row);
  }
  return table[m]?.[n] ?? [];
}

/**
 * Which of the p-values stand out when so many questions are asked at once (Benjamini and Hochberg 1995): of what is
 * found, at most the share `level` is expected to be false.
 */
export function discoveries(pValues: readonly number[], level: number): readonly boolean[] {
  const ascending = pValues.toSorted((a, b) => a - b);
  const last = ascending.findLastIndex((p, index) => p <= (level * (index + 1)) / ascending.length);
  const threshold = ascending[last] ?? Number.NEGATIVE_INFINITY;
  return pValues.map((p) => p <= threshold);
}
