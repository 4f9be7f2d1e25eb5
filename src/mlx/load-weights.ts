import { MlxGemmaError, throwIfAborted } from "../errors.js";
import { checkUnchanged } from "../file-stamp.js";
import { addon } from "./addon.js";
import { asNative, disposeAll, guarded, type MlxArray, track } from "./array.js";
import type { Dtype } from "./native.js";

/** Where a tensor lies. */
export interface TensorSource {
  /** Path of a safetensors file whose header was checked. */
  readonly file: string;
  /** What that file was like then. */
  readonly stamp: string;
  /** Of the first byte, from the beginning of the file. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly dtype: string;
}

const DTYPES: readonly Dtype[] = [
  "bfloat16",
  "float16",
  "float32",
  "int32",
  "int64",
  "uint32",
  "uint8",
  "bool",
];

/**
 * Reads tensors off the JavaScript thread into evaluated arrays.
 *
 * @param tensors by the name that the caller uses
 * @param dtypeOf what to cast a tensor to; undefined: as it is stored
 * @param signal ends the reading soon
 * @throws MlxGemmaError `checkpoint` for a file that can't be read, or is no longer the one whose header was checked,
 * `native` for memory that can't be had, `aborted`
 */
export async function loadWeights<T extends TensorSource>(
  tensors: ReadonlyMap<string, T>,
  dtypeOf: (name: string, source: T) => Dtype | undefined,
  signal?: AbortSignal,
): Promise<Map<string, MlxArray>> {
  const aborted = () => throwIfAborted(signal, "loading was aborted");
  aborted();
  const stamps = new Map([...tensors.values()].map(({ file, stamp }) => [file, stamp]));
  checkUnchanged(stamps);
  const reading = guarded(() =>
    addon().readTensors(
      [...tensors].map(([name, source]) => {
        const { file, offset, shape } = source;
        const dtype = known(source.dtype);
        return { file, offset, shape, dtype, as: dtypeOf(name, source) ?? dtype };
      }),
    ),
  );
  signal?.addEventListener("abort", reading.cancel, { once: true });
  let arrays: MlxArray[] = [];
  try {
    arrays = (await reading.arrays).map(track);
    aborted();
    checkUnchanged(stamps);
  } catch (error) {
    disposeAll(arrays);
    aborted();
    checkUnchanged(stamps); // Where that is why, it is what to tell.
    throw explained(error);
  } finally {
    signal?.removeEventListener("abort", reading.cancel);
  }
  const names = [...tensors.keys()];
  return new Map(arrays.map((array, index) => [names[index] ?? "", array]));
}

function known(dtype: string): Dtype {
  const found = DTYPES.find((name) => name === dtype);
  if (!found) throw new MlxGemmaError("native", `weights of type ${dtype} can't be read`);
  return found;
}

function explained(error: unknown): unknown {
  if (!(error instanceof Error) || !("file" in error)) return asNative(error);
  return new MlxGemmaError(
    "checkpoint",
    `${String(error.file)}: ${error.message}; check the disk, and download the file again`,
    { cause: error },
  );
}
