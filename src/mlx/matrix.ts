import type { MlxArray } from "./array.js";
import type { NativeMatrix, NativePackedWeight } from "./native.js";

/** A weight (O, I) as it is stored: floats, or packed. */
export type Matrix = NativeMatrix;

/** O: how many rows it has. */
export function rowCount(matrix: Matrix): number {
  return (isPacked(matrix) ? matrix.weight : matrix).shape[0] ?? 0;
}

/**
 * Does the same to the rows of every array behind the weight, (O, width) each: what moves whole rows moves those of a
 * packed weight with their scales and biases.
 */
export function mapRows(matrix: Matrix, move: (rows: MlxArray) => MlxArray): Matrix {
  if (!isPacked(matrix)) return move(matrix);
  const { weight, scales, biases, groupSize, bits, mode } = matrix;
  return {
    weight: move(weight),
    scales: move(scales),
    biases: biases && move(biases),
    groupSize,
    bits,
    mode,
  };
}

/** The arrays behind the weight, to be evaluated or disposed. */
export function arraysOf(matrix: Matrix): MlxArray[] {
  if (!isPacked(matrix)) return [matrix];
  const { weight, scales, biases } = matrix;
  return biases ? [weight, scales, biases] : [weight, scales];
}

export function isPacked(matrix: Matrix): matrix is NativePackedWeight {
  return "scales" in matrix;
}
