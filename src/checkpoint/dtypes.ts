import type { StoredDtype } from "./types.js";

/** Bytes of one element. */
export const ITEM_SIZE: Readonly<Record<StoredDtype, number>> = {
  bfloat16: 2,
  float16: 2,
  float32: 4,
  float64: 8,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
  float8_e4m3: 1,
  float8_e5m2: 1,
};
