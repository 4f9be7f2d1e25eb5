import { cacheBytes, type LayerKeys } from "../checkpoint/cache-bytes.js";
import { ITEM_SIZE } from "../checkpoint/dtypes.js";
import { isAssistantTable, isExpert, isPerLayerTable, scoredShare } from "../checkpoint/partly-read.js";
import type {
  AssistantCheckpoint,
  FloatDtype,
  StoredDtype,
  TargetCheckpoint,
  WeightSource,
} from "../checkpoint/types.js";

/** A step's place: how many keys it may see, how many rows it computes. */
export interface StepShape {
  readonly position: number;
  readonly rows: number;
}

/** Bytes that steps must read from memory: weights, and keys and values. */
export interface StepBytes {
  /** One target step. */
  target(shape: StepShape): number;
  /** One step of the drafter; 0 without one. */
  draft(position: number): number;
}

/**
 * What steps read, from the checkpoints' descriptions. The per-layer embedding gives a row, which is nothing; of experts
 * those count that `rows` tokens are expected to choose, were each choice as likely and independent; of the drafter's
 * clusters the ones that are scored. Activations are left out: they stay in caches.
 *
 * @param dtype what floats are cast to at load; absent: they stay
 */
export function stepBytes(
  target: TargetCheckpoint,
  assistant?: AssistantCheckpoint,
  dtype?: FloatDtype,
): StepBytes {
  const inMemory = (source: WeightSource) => weightBytes(source, dtype);
  const weights = { fixed: 0, experts: 0 };
  for (const [name, source] of target.weights.tensors) {
    if (isPerLayerTable(name)) continue;
    weights[isExpert(name) ? "experts" : "fixed"] += inMemory(source);
  }
  const { experts, layers, slidingWindow } = target.config;
  const unchosen = experts ? 1 - experts.topK / experts.count : 0;
  const keyBytes = ITEM_SIZE[dtype ?? target.weights.dtype];
  const cache = (layers: readonly LayerKeys[], slidingWindow: number, positions: number) =>
    cacheBytes(layers, { slidingWindow, positions, itemBytes: keyBytes });

  let drafter = 0;
  if (assistant) {
    for (const [name, source] of assistant.weights.tensors) {
      drafter += inMemory(source) * (isAssistantTable(name) ? scoredShare(assistant.config) : 1);
    }
  }
  return {
    target: ({ position, rows }) =>
      weights.fixed + weights.experts * (1 - unchosen ** rows) + cache(layers, slidingWindow, position),
    draft: (position) =>
      assistant ? drafter + cache(assistant.config.layers, assistant.config.slidingWindow, position) : 0,
  };
}

function weightBytes({ shape, dtype, bytes }: WeightSource, cast: FloatDtype | undefined): number {
  if (!cast || !isFloat(dtype)) return bytes;
  return shape.reduce((product, extent) => product * extent, 1) * ITEM_SIZE[cast];
}

/** Floats that a cast at load changes. */
function isFloat(dtype: StoredDtype): dtype is FloatDtype {
  return dtype === "bfloat16" || dtype === "float16" || dtype === "float32";
}
