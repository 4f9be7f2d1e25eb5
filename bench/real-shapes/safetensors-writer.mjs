// Writes safetensors files from tensors that are made while they are written: memory is one buffer.
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { filler, seedOf } from "./fill.mjs";

const WIDTH = { BF16: 2, U32: 4, I64: 8 };
/** A multiple of every width. */
const BUFFER = 8 * 1024 * 1024;

const elements = ({ shape }) => shape.reduce((product, size) => product * size, 1);
export const bytesOf = (tensor) => elements(tensor) * WIDTH[tensor.dtype];

/**
 * `model.safetensors`, or shards with an index when there is more than `shardBytes`.
 *
 * @param metadata `format` of the header: "pt" or "mlx"
 * @param sparse headers alone; the data are a hole in the file, and read as zeros
 * @returns bytes of all tensors
 */
export function writeCheckpoint(folder, tensors, { seed, metadata, shardBytes, sparse = false }) {
  const total = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  // The reference's writer puts wide types first; MLX's keeps no such order, so that its tensors stand at any offset.
  const ordered = metadata === "pt" ? tensors.toSorted((a, b) => WIDTH[b.dtype] - WIDTH[a.dtype]) : tensors;
  const shards = split(ordered, shardBytes);
  if (shards.length === 1) {
    writeFile(join(folder, "model.safetensors"), ordered, seed, metadata, sparse);
    return total;
  }
  const weightMap = {};
  for (const [i, shard] of shards.entries()) {
    const number = (n) => String(n).padStart(5, "0");
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeFile(join(folder, file), shard, seed, metadata, sparse);
    for (const { name } of shard) weightMap[name] = file;
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  writeFileSync(join(folder, "model.safetensors.index.json"), `${JSON.stringify(index, null, 2)}\n`);
  return total;
}

function split(tensors, shardBytes) {
  const shards = [[]];
  let used = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (used > 0 && used + bytes > shardBytes) {
      shards.push([]);
      used = 0;
    }
    shards.at(-1).push(tensor);
    used += bytes;
  }
  return shards;
}

function writeFile(path, tensors, seed, metadata, sparse) {
  const header = { __metadata__: { format: metadata } };
  let offset = 0;
  for (const tensor of tensors) {
    const end = offset + bytesOf(tensor);
    header[tensor.name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 7, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = openSync(path, "w");
  try {
    writeAll(file, length);
    writeAll(file, padded);
    if (sparse) {
      ftruncateSync(file, length.length + padded.length + offset);
      return;
    }
    const buffer = Buffer.from(new ArrayBuffer(BUFFER));
    for (const tensor of tensors) writeTensor(file, tensor, seed, buffer);
  } finally {
    closeSync(file);
  }
}

function writeTensor(file, tensor, seed, buffer) {
  const fill = filler(tensor.fill, seedOf(tensor.seedName ?? tensor.name, seed), elements(tensor));
  for (let left = bytesOf(tensor); left > 0; ) {
    const size = Math.min(left, buffer.length);
    // A lone bfloat16 is filled as half of a pair.
    fill(buffer.subarray(0, (size + 3) & ~3));
    writeAll(file, buffer.subarray(0, size));
    left -= size;
  }
}

function writeAll(file, bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
