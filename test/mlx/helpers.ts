import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { addon } from "../../src/mlx/addon.js";
import {
  evaluate,
  fromFloat32,
  fromInt32,
  type MlxArray,
  readFloat32,
  readInt32,
} from "../../src/mlx/array.js";
import * as ops from "../../src/mlx/ops.js";

/** A float32 array of `values`, of one axis unless `shape` says otherwise. */
export function floats(values: readonly number[], shape: readonly number[] = [values.length]): MlxArray {
  return fromFloat32(Float32Array.from(values), shape);
}

/** An int32 array of `values`. */
export function ints(values: readonly number[], shape: readonly number[] = [values.length]): MlxArray {
  return fromInt32(Int32Array.from(values), shape);
}

/** Values as numbers, evaluated; any dtype. */
export async function numbers(array: MlxArray): Promise<number[]> {
  const wide = array.dtype === "int32" ? array : ops.astype(array, "float32");
  await evaluate([[wide]]);
  return [...(wide.dtype === "int32" ? readInt32(wide) : readFloat32(wide))];
}

/** Collects garbage until `done`, or gives up. Finalizers run between turns of the event loop. */
export async function collectGarbage(done: () => boolean): Promise<void> {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  if (typeof gc !== "function") throw new Error("no gc");
  for (let turn = 0; turn < 50 && !done(); turn++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export const liveArrays = (): number => addon().counters().liveArrays;

/** Handles that live once the garbage of earlier tests is gone: what comes after is of the test's own making. */
export async function settledArrays(): Promise<number> {
  const counts: number[] = [];
  await collectGarbage(() => {
    counts.push(liveArrays());
    const last = counts.slice(-3);
    return last.length === 3 && last.every((count) => count === last[0]);
  });
  return liveArrays();
}

/** The error that `call` throws. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("expected an error");
}
