// Of the addon's contract (native.ts): arrays, and weights that are packed.

/** Element types that cross the boundary, by MLX's names. */
export type Dtype = "bfloat16" | "float16" | "float32" | "int32" | "int64" | "uint32" | "uint8" | "bool";

/** MLX's ways to pack a weight: groups of `groupSize` values with a scale (and in affine mode a bias) each. */
export type QuantizationMode = "affine" | "mxfp4" | "mxfp8" | "nvfp4";

/** How one module's weight is packed, as MLX's `quantization` block says it. */
export interface NativeQuantization {
  readonly groupSize: number;
  readonly bits: number;
  readonly mode: QuantizationMode;
}

/** A lazy MLX array: a node of a graph until it is evaluated. Its memory is told to V8; `dispose` drops it early. */
export interface NativeArray {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly nbytes: number;
  readonly disposed: boolean;
  /** Drops this handle. Graphs that use the array keep what they need. Twice is harmless. */
  dispose(): void;
}

/** A weight (…, O, I) as MLX packs it. */
export interface NativePackedWeight extends NativeQuantization {
  /** uint32 (…, O, I · bits / 32). */
  readonly weight: NativeArray;
  /** (…, O, I / groupSize). */
  readonly scales: NativeArray;
  /** Like `scales`, in affine mode only. */
  readonly biases: NativeArray | null;
}

/** A weight (O, I) as it is stored: floats, or packed. */
export type NativeMatrix = NativeArray | NativePackedWeight;
