import { addon } from "./addon.js";
import { disposeAll, evaluate, type MlxArray, scope } from "./array.js";
import * as ops from "./ops.js";

/** Beyond any cache. */
const BYTES = 512 * 2 ** 20;
const WIDTH = 4096;
const FLOAT = 4;
const PASSES = 8;

/**
 * How fast this machine's memory can be read, in bytes a second: a matrix far larger than any cache times one row, by the
 * kernels, threads and device that generation uses, in float32, where arithmetic is least in the way. The best of eight
 * passes, so that a neighbour's load counts as little as it can; takes about a second.
 */
export async function readBandwidth(): Promise<number> {
  const bytes = Math.min(BYTES, process.availableMemory() / 4);
  const rows = Math.max(1, Math.floor(bytes / FLOAT / WIDTH));
  const { matrix, row } = scope(() => ({
    matrix: ops.zeros([rows, WIDTH], "float32"),
    row: ops.zeros([1, WIDTH], "float32"),
  }));
  try {
    await evaluate([[matrix, row]]); // Writes the zeros: untouched pages would not come from memory.
    let best = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < PASSES; pass++) best = Math.min(best, await milliseconds(matrix, row));
    return (rows * WIDTH * FLOAT * 1000) / best;
  } finally {
    disposeAll([matrix, row]);
    addon().clearCache();
  }
}

async function milliseconds(matrix: MlxArray, row: MlxArray): Promise<number> {
  const product = scope(() => ops.linear(row, matrix));
  const [took = Number.NaN] = await evaluate([[product]]);
  product.dispose();
  return took;
}
