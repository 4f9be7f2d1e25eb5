import { decodeRun, type Values } from "./decode.js";
import type { Run } from "./encoding.js";

/** Two runs of the same length to be compared. */
export interface ErrorTask {
  readonly run: Run;
  readonly other: Run;
}

/** Sums over the differences of two runs. Those of several runs add up. */
export interface ErrorSums {
  values: number;
  unequal: number;
  notFinite: number;
  maxAbs: number;
  sumSquaredError: number;
  sumSquares: number;
  sumSquaresOther: number;
  sumProducts: number;
}

/** Compares two runs. */
export async function errorSumsOf({ run, other }: ErrorTask): Promise<ErrorSums> {
  const [a, b] = await Promise.all([decodeRun(run), decodeRun(other)]);
  return compareValues(a, b);
}

/** Compares values in pairs. */
export function compareValues(a: Values, b: Values): ErrorSums {
  const sums = noErrors();
  sums.values = a.length;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      sums.notFinite++;
      if (!Object.is(x, y)) sums.unequal++;
      continue;
    }
    const error = x - y;
    if (error !== 0) sums.unequal++;
    if (Math.abs(error) > sums.maxAbs) sums.maxAbs = Math.abs(error);
    sums.sumSquaredError += error * error;
    sums.sumSquares += x * x;
    sums.sumSquaresOther += y * y;
    sums.sumProducts += x * y;
  }
  return sums;
}

/** Sums over nothing yet. */
export function noErrors(): ErrorSums {
  return {
    values: 0,
    unequal: 0,
    notFinite: 0,
    maxAbs: 0,
    sumSquaredError: 0,
    sumSquares: 0,
    sumSquaresOther: 0,
    sumProducts: 0,
  };
}

/** Adds the sums of one pair of runs to those of its tensors. */
export function mergeErrors(into: ErrorSums, run: ErrorSums): void {
  into.values += run.values;
  into.unequal += run.unequal;
  into.notFinite += run.notFinite;
  into.maxAbs = Math.max(into.maxAbs, run.maxAbs);
  into.sumSquaredError += run.sumSquaredError;
  into.sumSquares += run.sumSquares;
  into.sumSquaresOther += run.sumSquaresOther;
  into.sumProducts += run.sumProducts;
}
