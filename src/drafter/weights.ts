import { MlxGemmaError } from "../errors.js";
import type { MlxArray } from "../mlx/array.js";

/** Weights by canonical name. */
export type Weights = ReadonlyMap<string, MlxArray>;

/** Gives the weight of a name under one prefix. */
export type WeightReader = (name: string) => MlxArray;

/**
 * A reader for the weights below `prefix`. The plan has checked names, shapes and dtypes of the files; a name that it
 * does not know is a defect of ours.
 */
export function under(weights: Weights, prefix: string): WeightReader {
  return (name) => {
    const weight = weights.get(prefix + name);
    if (!weight) throw new MlxGemmaError("native", `the assistant's weight ${prefix}${name} was not loaded`);
    return weight;
  };
}
