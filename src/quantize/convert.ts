import { type FileHandle, open } from "node:fs/promises";
import { ITEM_SIZE } from "../checkpoint/dtypes.js";
import { MlxGemmaError, throwIfAborted } from "../errors.js";
import { checkUnchanged } from "../file-stamp.js";
import { addon } from "../mlx/addon.js";
import { disposeAll, evaluate, fromBytes, type MlxArray, readBytes, scope } from "../mlx/array.js";
import type { Dtype } from "../mlx/native.js";
import { astype, quantize } from "../mlx/ops.js";
import type { Shard } from "./layout.js";
import type { Job } from "./plan.js";

/** Source bytes that are worked on at once; memory is a small multiple of it, whatever the size of the model. */
export const BLOCK_BYTES = 64 * 2 ** 20;

export interface ConvertOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each block with the bytes of the source that are done. */
  readonly onProgress?: (done: number) => void;
  /** Default {@link BLOCK_BYTES}. */
  readonly blockBytes?: number;
}

/**
 * Writes one shard into a folder: reads its sources block by block, packs and casts with MLX, writes each part at its
 * place. The file is on the disk when this resolves.
 *
 * @throws MlxGemmaError `disk` when it can't be written, `checkpoint` when a source is no longer the file whose header was read, `native`, `aborted`
 */
export async function writeShard(path: string, shard: Shard, options: ConvertOptions = {}): Promise<void> {
  const { signal, onProgress, blockBytes = BLOCK_BYTES } = options;
  const stamps = new Map(shard.jobs.map(({ source }) => [source.file, source.stamp]));
  checkUnchanged(stamps);
  const output = await open(path, "wx");
  const inputs = new Map<string, FileHandle>();
  try {
    // All of the room at once: a disk that fills up is told before hours of work.
    await output.truncate(shard.bytes);
    await writeAll(output, shard.header, 0);
    let done = 0;
    for (const job of shard.jobs) {
      const input = inputs.get(job.source.file) ?? (await open(job.source.file, "r"));
      inputs.set(job.source.file, input);
      for (const block of blocksOf(job, blockBytes)) {
        throwIfAborted(signal, "quantizing was aborted");
        await convert(job, block, input, output, shard.offsets);
        done += block.rows * rowBytes(job);
        onProgress?.(done);
      }
      addon().clearCache();
    }
    checkUnchanged(stamps);
    await output.sync();
  } finally {
    await output.close();
    for (const input of inputs.values()) await input.close();
  }
}

interface Block {
  /** Where to read: [byte from the tensor's beginning, bytes]. */
  readonly reads: readonly (readonly [number, number])[];
  readonly rows: number;
  /** Of the output. */
  readonly firstRow: number;
}

const rowBytes = ({ columns, source }: Job): number => columns * ITEM_SIZE[source.dtype];

/** Cuts a job into blocks of whole rows; runs of rows that lie apart (experts) share a block while they fit. */
function* blocksOf(job: Job, limit: number): Generator<Block> {
  const { offset, count, period, total } = job.rows;
  const width = rowBytes(job);
  const most = Math.max(1, Math.floor(limit / width));
  let reads: [number, number][] = [];
  let rows = 0;
  let firstRow = 0;
  for (let start = offset; start < total; start += period) {
    for (let at = 0; at < count; ) {
      const take = Math.min(count - at, most - rows);
      reads.push([(start + at) * width, take * width]);
      rows += take;
      at += take;
      if (rows < most) continue;
      yield { reads, rows, firstRow };
      firstRow += rows;
      reads = [];
      rows = 0;
    }
  }
  if (rows > 0) yield { reads, rows, firstRow };
}

async function convert(
  job: Job,
  block: Block,
  input: FileHandle,
  output: FileHandle,
  offsets: ReadonlyMap<string, number>,
): Promise<void> {
  const bytes = new Uint8Array(block.rows * rowBytes(job));
  let filled = 0;
  for (const [from, length] of block.reads) {
    await readAll(input, bytes.subarray(filled, filled + length), job.source.offset + from, job.source.file);
    filled += length;
  }
  const parts = job.quantization || job.cast ? await pack(job, block, bytes) : [bytes];
  for (const [index, part] of parts.entries()) {
    const target = job.outputs[index];
    const offset = target && offsets.get(target.name);
    if (offset === undefined) throw new Error(`no place for part ${index} of ${job.source.file}`);
    const ownRow = part.byteLength / block.rows;
    await writeAll(output, part, offset + block.firstRow * ownRow);
  }
}

/** The bytes of each output's rows of this block. */
async function pack(job: Job, block: Block, bytes: Uint8Array): Promise<Uint8Array[]> {
  const { cast, quantization, columns } = job;
  const arrays: MlxArray[] = scope(() => {
    const stored = fromBytes(bytes, [block.rows, columns], dtypeOf(job));
    const values = cast ? astype(stored, cast) : stored;
    return quantization ? quantize(values, quantization) : [values];
  });
  try {
    await evaluate([arrays]);
    return arrays.map(readBytes);
  } finally {
    disposeAll(arrays);
  }
}

function dtypeOf({ source }: Job): Dtype {
  if (source.dtype === "bfloat16" || source.dtype === "float16" || source.dtype === "float32")
    return source.dtype;
  throw new MlxGemmaError("native", `${source.file}: expected float weights to pack, found ${source.dtype}`);
}

async function readAll(file: FileHandle, into: Uint8Array, position: number, name: string): Promise<void> {
  let done = 0;
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, position + done);
    if (bytesRead === 0) {
      throw new MlxGemmaError(
        "checkpoint",
        `${name}: expected ${position + into.byteLength} bytes, found ${position + done}: it was changed while it was read; run again`,
      );
    }
    done += bytesRead;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}
