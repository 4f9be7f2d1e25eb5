import { MlxGemmaError } from "../errors.js";
import { addon } from "./addon.js";
import type { Dtype, NativeArray } from "./native.js";

/** A lazy MLX array. */
export type MlxArray = NativeArray;

let open: MlxArray[] | undefined;

/** Hands a new array to the scope that is open, if any. */
export function track(array: MlxArray): MlxArray {
  open?.push(array);
  return array;
}

/**
 * Runs `build` and disposes every array made inside it except those in what it returns (at any depth of lists and
 * plain objects), which go to the scope around. Graphs keep the nodes they need.
 *
 * @param build synchronous: a promise's arrays would be disposed before it is done
 */
export function scope<T>(build: () => T): T {
  const outer = open;
  const mine: MlxArray[] = [];
  open = mine;
  let kept: Set<MlxArray> | undefined;
  try {
    const result = build();
    kept = new Set();
    collect(result, kept);
    return result;
  } finally {
    open = outer;
    const gone: MlxArray[] = [];
    for (const array of mine) {
      if (!kept?.has(array)) gone.push(array);
      else outer?.push(array);
    }
    disposeAll(gone);
  }
}

/** Disposes many, in one native call. */
export function disposeAll(arrays: Iterable<MlxArray>): void {
  addon().disposeAll(Array.isArray(arrays) ? arrays : [...arrays]);
}

function collect(value: unknown, found: Set<MlxArray>): void {
  if (typeof value !== "object" || value === null) return;
  if (isArray(value)) found.add(value);
  else if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
    for (const part of Object.values(value)) collect(part, found);
  }
}

function isArray(value: object): value is MlxArray {
  return value.constructor?.name === "NativeArray"; // An object without prototype has no constructor.
}

/** Runs native code that throws plain errors; they become `native` ones. */
export function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asNative(error);
  }
}

/** What a call of native code threw or rejected with, as the error that users see. */
export function asNative(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof MlxGemmaError) return error;
  const code = / is disposed$/.test(error.message) ? "disposed" : "native";
  return new MlxGemmaError(code, `MLX: ${error.message}`, { cause: error });
}

/** int32 values of `shape`. */
export function fromInt32(values: Int32Array, shape: readonly number[]): MlxArray {
  return track(guarded(() => addon().fromInt32(values, shape)));
}

/** float32 values of `shape`. */
export function fromFloat32(values: Float32Array, shape: readonly number[]): MlxArray {
  return track(guarded(() => addon().fromFloat32(values, shape)));
}

/** An array of `shape` from the bytes of its values, row-major. */
export function fromBytes(data: Uint8Array, shape: readonly number[], dtype: Dtype): MlxArray {
  return track(guarded(() => addon().fromBytes(data, shape, dtype)));
}

/** Bytes of an evaluated array, row-major. Counted as a readback. */
export function readBytes(array: MlxArray): Uint8Array {
  return guarded(() => addon().readBytes(array));
}

/** Values of an evaluated int32 array. Counted as a readback. */
export function readInt32(array: MlxArray): Int32Array {
  return guarded(() => addon().readInt32(array));
}

/** Values of an evaluated float32 array. Counted as a readback. */
export function readFloat32(array: MlxArray): Float32Array {
  return guarded(() => addon().readFloat32(array));
}

/**
 * Evaluates stage after stage off the JavaScript thread, one evaluation at a time in the process.
 *
 * @returns milliseconds of each stage, from the end of the one before: all are under way before the first is waited for
 * @throws MlxGemmaError `native` with MLX's message
 */
export async function evaluate(stages: readonly (readonly MlxArray[])[]): Promise<Float64Array> {
  try {
    return await addon().evaluate(stages);
  } catch (error) {
    throw asNative(error);
  }
}
