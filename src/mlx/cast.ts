import type { Dtype } from "./native.js";

const FLOATS: ReadonlySet<string> = new Set(["bfloat16", "float16", "float32"]);

/**
 * What a model of `dtype` casts a stored tensor to: floats to `dtype`, so that all activations are of one type. Packed
 * words and the scales of other modes than affine are integers, and stay as they are (undefined).
 */
export function castOf(stored: string, dtype: Dtype): Dtype | undefined {
  return FLOATS.has(stored) ? dtype : undefined;
}
