import { MlxGemmaError } from "../errors.js";
import type { MlxArray } from "../mlx/array.js";
import type { Matrix } from "../mlx/matrix.js";
import type { NativeQuantization } from "../mlx/native.js";

/** Weights by canonical name. */
export type Weights = ReadonlyMap<string, MlxArray>;

/** How modules are packed, by canonical name without `.weight`; those that are not here are not. */
export type Quantizations = Readonly<Record<string, NativeQuantization>>;

/** Gives the weights under one prefix. */
export interface WeightReader {
  /** The tensor `name`. */
  tensor(name: string): MlxArray;
  /** The module's weight (O, I), packed or not. */
  matrix(module: string): Matrix;
}

/**
 * A reader for the weights below `prefix`. The plan has checked names, shapes and dtypes of the files; a name that it
 * does not know is a defect of ours.
 */
export function under(weights: Weights, quantizations: Quantizations, prefix: string): WeightReader {
  const tensor = (name: string): MlxArray => {
    const weight = weights.get(prefix + name);
    if (!weight) throw new MlxGemmaError("native", `the assistant's weight ${prefix}${name} was not loaded`);
    return weight;
  };
  return {
    tensor,
    matrix(module) {
      const weight = tensor(`${module}.weight`);
      const how = Object.hasOwn(quantizations, prefix + module) ? quantizations[prefix + module] : undefined;
      if (!how) return weight;
      const biases = how.mode === "affine" ? tensor(`${module}.biases`) : null;
      return { ...how, weight, scales: tensor(`${module}.scales`), biases };
    },
  };
}
