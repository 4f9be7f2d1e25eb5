import { throwIfAborted } from "../errors.js";
import { addon } from "./addon.js";
import { evaluate, guarded, type MlxArray, scope, track } from "./array.js";
import type { Dtype } from "./native.js";
import { astype } from "./ops.js";
import { changed, watchFiles } from "./watch-files.js";

/** Where a tensor lies. */
export interface TensorSource {
  /** Path of a safetensors file whose header was checked. */
  readonly file: string;
  /** The tensor's name in that file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** In the file. */
  readonly bytes: number;
}

/** Bytes of one evaluation: between two of them a caller can stop, and casting holds no second copy of the whole. */
const BATCH_BYTES = 256 * 1024 * 1024;

/**
 * Reads tensors and evaluates them, so that graphs built on them share evaluated arrays only.
 *
 * @param tensors by the name that the caller uses
 * @param dtypeOf what to cast a tensor to; undefined: as it is stored
 * @param signal looked at between batches
 * @throws MlxGemmaError `native` when MLX can't read a file, `checkpoint` for one that is no longer the one that was
 * checked, `aborted`
 */
export async function loadWeights<T extends TensorSource>(
  tensors: ReadonlyMap<string, T>,
  dtypeOf: (name: string, source: T) => Dtype | undefined,
  signal?: AbortSignal,
): Promise<Map<string, MlxArray>> {
  // What was freed before (parsing a tokenizer takes 400 MB) must not stand beside the weights.
  addon().clearCache();
  const files = byFile(tensors);
  const checkUnchanged = watchFiles(files.keys());
  const lazy = scope(() => [...files].flatMap(([file, own]) => loadFile(file, own, dtypeOf)));
  const arrays = new Map(lazy);
  try {
    for (const batch of batches([...arrays.values()])) {
      throwIfAborted(signal, "loading was aborted");
      await evaluate([batch]);
    }
    checkUnchanged();
  } catch (error) {
    for (const array of arrays.values()) array.dispose();
    checkUnchanged(); // Where that is why, it is what to tell.
    throw error;
  }
  return arrays;
}

function batches(arrays: readonly MlxArray[]): MlxArray[][] {
  const all: MlxArray[][] = [];
  let room = 0;
  for (const array of arrays) {
    const last = all.at(-1);
    if (last && array.nbytes <= room) last.push(array);
    else {
      all.push([array]);
      room = BATCH_BYTES;
    }
    room -= array.nbytes;
  }
  return all;
}

function byFile<T extends TensorSource>(tensors: ReadonlyMap<string, T>): Map<string, Map<string, T>> {
  const files = new Map<string, Map<string, T>>();
  for (const [name, source] of tensors) {
    const own = files.get(source.file) ?? new Map<string, T>();
    files.set(source.file, own.set(name, source));
  }
  return files;
}

function loadFile<T extends TensorSource>(
  file: string,
  tensors: ReadonlyMap<string, T>,
  dtypeOf: (name: string, source: T) => Dtype | undefined,
): [string, MlxArray][] {
  const stored = [...tensors.values()].map(({ name }) => name);
  const arrays = guarded(() => addon().loadSafetensors(file, stored)).map(track);
  return [...tensors].flatMap(([name, source], index): [string, MlxArray][] => {
    const array = arrays[index];
    if (!array) return [];
    // MLX reads the header anew: it must be the one that was checked.
    if (array.nbytes !== source.bytes || array.shape.join() !== source.shape.join()) throw changed(file);
    const dtype = dtypeOf(name, source);
    return [[name, dtype === undefined || dtype === array.dtype ? array : astype(array, dtype)]];
  });
}
