import type { TensorInfo } from "../../checkpoint/types.js";
import type { NativeQuantization } from "../../mlx/native.js";

/** A tensor's bytes in a file. */
export type Stored = Pick<TensorInfo, "file" | "stamp" | "offset" | "dtype">;

/** How the values of a tensor are stored. Plain data: it goes to worker threads. */
export type Encoded =
  | { readonly kind: "plain"; readonly stored: Stored }
  | {
      readonly kind: "packed";
      readonly quantization: NativeQuantization;
      readonly weight: Stored;
      readonly scales: Stored;
      readonly biases?: Stored;
    };

/**
 * Part of a tensor's values: blocks of `block` values that stand `stride` values apart, the first at `start`. A tensor
 * as a whole is one block; the gates of stacked experts are the first half of every expert's rows.
 */
export interface Selection {
  readonly encoded: Encoded;
  /** Values that are selected. */
  readonly values: number;
  readonly start: number;
  readonly block: number;
  readonly stride: number;
}

/** A run of consecutive values of a tensor. */
export interface Run {
  readonly encoded: Encoded;
  readonly start: number;
  readonly values: number;
}

/** Values that one task takes at most: 8 MB in bfloat16. A multiple of every packing's group and word. */
export const RUN_VALUES = 2 ** 22;

/** The run of values that begins at the selection's `from`th, up to `most` of them and within one block. */
export function runAt({ encoded, values, start, block, stride }: Selection, from: number, most: number): Run {
  const within = from % block;
  const place = start + Math.floor(from / block) * stride + within;
  return { encoded, start: place, values: Math.min(most, block - within, values - from) };
}
