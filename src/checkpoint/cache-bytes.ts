/** What of a layer says how many bytes its keys have. */
export interface LayerKeys {
  readonly type: string;
  readonly numKvHeads: number;
  readonly headDim: number;
}

/** Bytes of the keys and values of these layers after so many positions; a sliding layer has those of its window. */
export function cacheBytes(
  layers: Iterable<LayerKeys>,
  { slidingWindow, positions, itemBytes }: { slidingWindow: number; positions: number; itemBytes: number },
): number {
  let bytes = 0;
  for (const { type, numKvHeads, headDim } of layers) {
    const keys = type === "full_attention" ? positions : Math.min(slidingWindow, positions);
    bytes += 2 * numKvHeads * headDim * keys * itemBytes;
  }
  return bytes;
}
