import { join } from "node:path";
import { checkpointError, describe, isFile, isObject, quote, readJson } from "./json.js";
import { readSafetensorsHeader } from "./safetensors.js";
import type { TensorInfo } from "./types.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const MAX_SHARDS = 10_000;

/**
 * All tensors of a folder: of `model.safetensors`, or else of the shards that `model.safetensors.index.json` names.
 * Tensors of a shard that the index does not name are left out.
 *
 * @throws MlxGemmaError `checkpoint` for missing or broken files, and for an index that does not tell the truth.
 */
export function readTensors(folder: string): Map<string, TensorInfo> {
  const single = join(folder, SINGLE);
  if (isFile(single)) return readSafetensorsHeader(single);
  const index = join(folder, INDEX);
  if (!isFile(index)) {
    throw checkpointError(
      folder,
      `expected ${SINGLE} or ${INDEX}, found neither; download the checkpoint's weights`,
    );
  }
  return readShards(folder, index);
}

function readShards(folder: string, index: string): Map<string, TensorInfo> {
  const files = shardOfTensor(index);
  const shards = new Map<string, Map<string, TensorInfo>>();
  for (const shard of new Set(files.values())) {
    const file = join(folder, shard);
    if (!isFile(file)) {
      const count = [...files.values()].filter((name) => name === shard).length;
      throw checkpointError(
        index,
        `expected the shard ${quote(shard)} (${count} tensors) beside it, found nothing there; download it`,
      );
    }
    shards.set(shard, readSafetensorsHeader(file));
  }
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shard] of files) {
    const info = shards.get(shard)?.get(name);
    if (!info) {
      const elsewhere = [...shards].find(([, held]) => held.has(name))?.[0];
      throw checkpointError(
        index,
        `expected tensor ${quote(name)} in ${quote(shard)}, found it ${elsewhere ? `in ${quote(elsewhere)}` : "nowhere"}; download the index and its shards again`,
      );
    }
    tensors.set(name, info);
  }
  return tensors;
}

function shardOfTensor(index: string): Map<string, string> {
  const json = readJson(index, { maxBytes: 64 * 1024 * 1024, maxDepth: 8 });
  const map = isObject(json) ? json.weight_map : undefined;
  if (!isObject(map)) {
    throw checkpointError(
      index,
      `weight_map: expected an object, found ${describe(map)}; download the index again`,
    );
  }
  const files = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A shard lies beside its index: a name with a path in it could reach any file of this machine.
    if (typeof shard !== "string" || !/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      throw checkpointError(
        index,
        `weight_map.${quote(name)}: expected the plain name of a .safetensors file, found ${describe(shard)}; download the index again`,
      );
    }
    files.set(name, shard);
  }
  const count = new Set(files.values()).size;
  if (count === 0 || count > MAX_SHARDS) {
    throw checkpointError(
      index,
      `weight_map: expected 1 to ${MAX_SHARDS} shards, found ${count}; download the index again`,
    );
  }
  return files;
}
