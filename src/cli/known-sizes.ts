/** What the text model of a published size needs. Computed from its shapes; a test computes them again. */
export interface KnownSize {
  /** Of the text model: vision and sound come on top in the download, not in memory. */
  readonly parameters: number;
  /** Those of weights that a quantization packs; the others are norms and scalars. */
  readonly packed: number;
  /** Bytes of keys and values of {@link CONTEXT} positions in bf16. */
  readonly cacheBytes: number;
}

/** Positions that the memory need counts the keys and values of. */
export const CONTEXT = 4096;

/** By the size's name, as in `KNOWN_PAIRS`. */
export const KNOWN_SIZES: Readonly<Record<string, KnownSize>> = {
  E2B: { parameters: 4_628_569_379, packed: 4_628_283_392, cacheBytes: 31_457_280 },
  E4B: { parameters: 7_463_013_418, packed: 7_462_453_248, cacheBytes: 88_080_384 },
  "12B": { parameters: 11_907_350_320, packed: 11_906_580_480, cacheBytes: 402_653_184 },
  "26B-A4B": { parameters: 25_233_141_790, packed: 25_232_441_344, cacheBytes: 293_601_280 },
  "31B": { parameters: 30_697_345_340, packed: 30_696_013_824, cacheBytes: 1_174_405_120 },
};

/** Bytes of the text model's weights in bf16. */
export function bf16Bytes({ parameters }: KnownSize): number {
  return 2 * parameters;
}

/** Bytes of the text model's weights in MLX's affine 4 bit with groups of 64: a scale and a bias each, in bf16. */
export function fourBitBytes({ parameters, packed }: KnownSize): number {
  return (packed * 4) / 8 + (packed / 64) * 4 + 2 * (parameters - packed);
}
