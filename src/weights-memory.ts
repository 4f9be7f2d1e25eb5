import { ITEM_SIZE } from "./checkpoint/dtypes.js";
import type { FloatDtype, WeightPlan } from "./checkpoint/types.js";
import { MlxGemmaError } from "./errors.js";
import { type MemoryRoom, memoryRoom } from "./memory-room.js";
import { castOf } from "./mlx/cast.js";
import { size } from "./units.js";

/** What is about to be loaded. */
export interface Planned {
  readonly folder: string;
  readonly weights: WeightPlan;
}

/** Bytes of a plan's weights in memory. @param dtype what floats are cast to; default: the plan's own */
export function loadedBytes({ tensors, dtype: own }: WeightPlan, dtype: FloatDtype = own): number {
  let bytes = 0;
  for (const { dtype: stored, bytes: inFile } of tensors.values()) {
    const cast = castOf(stored, dtype);
    bytes += cast === undefined ? inFile : (inFile / ITEM_SIZE[stored]) * ITEM_SIZE[dtype];
  }
  return bytes;
}

/**
 * Refuses to load what can't fit, by arithmetic, before anything is allocated: afterwards the kernel would end the
 * process without a word. Weights alone are counted, so what is refused would have failed.
 *
 * @returns bytes that are left beside them
 * @throws MlxGemmaError `memory` with what is needed and what is there
 */
export function requireMemory(
  planned: readonly Planned[],
  dtype: FloatDtype | undefined,
  room: MemoryRoom = memoryRoom(),
): number {
  const needed = planned.reduce((sum, { weights }) => sum + loadedBytes(weights, dtype), 0);
  if (needed <= room.bytes) return room.bytes - needed;
  const [first] = planned;
  throw new MlxGemmaError(
    "memory",
    `${first?.folder}: expected ${size(needed)} of memory for the weights, found ${size(room.bytes)} ${room.bound}; end other programs, or take a smaller or quantized model`,
  );
}
