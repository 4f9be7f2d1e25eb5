import { join } from "node:path";
import type { MlxGemmaError } from "../errors.js";
import { INDEX, isShardName, MAX_SHARDS, WEIGHTS } from "./file-names.js";
import { checkpointError, describe, isObject, quote } from "./json.js";
import { isFile, isThere, readJson } from "./plain-file.js";
import { readSafetensorsHeader } from "./safetensors.js";
import type { TensorInfo } from "./types.js";

/** Bounds of an index. */
export const INDEX_LIMITS = { maxDepth: 8 } as const;

/** The tensors of a folder. */
export interface TensorDirectory {
  /** Names of all of them. */
  keys(): Iterable<string>;
  has(name: string): boolean;
  /**
   * A tensor, or undefined where there is none of that name.
   *
   * @throws MlxGemmaError `checkpoint` for a shard that is missing or broken, or does not hold what the index says.
   */
  get(name: string): TensorInfo | undefined;
}

/**
 * The tensors of a folder: of `model.safetensors`, or else of the shards that `model.safetensors.index.json` names.
 * Tensors of a shard that the index does not name are left out. A shard's header is read when a tensor of it is asked
 * for: a shard with nothing but a vision tower may be missing.
 *
 * @throws MlxGemmaError `checkpoint` for missing or broken files.
 */
export function openTensors(folder: string): TensorDirectory {
  const single = join(folder, WEIGHTS);
  if (isThere(single)) return readSafetensorsHeader(single);
  const index = join(folder, INDEX);
  if (!isThere(index)) {
    throw checkpointError(
      folder,
      `expected ${WEIGHTS} or ${INDEX}, found neither; download the checkpoint's weights`,
    );
  }
  return openShards(folder, index);
}

/** All tensors of a folder, as {@link openTensors} finds them: every shard must be there. */
export function readTensors(folder: string): Map<string, TensorInfo> {
  const directory = openTensors(folder);
  const tensors = new Map<string, TensorInfo>();
  for (const name of directory.keys()) {
    const info = directory.get(name);
    if (info) tensors.set(name, info);
  }
  return tensors;
}

function openShards(folder: string, index: string): TensorDirectory {
  const files = parseIndex(readJson(index, INDEX_LIMITS), index);
  const headers = new Map<string, Map<string, TensorInfo>>();
  const header = (shard: string): Map<string, TensorInfo> => {
    const known = headers.get(shard);
    if (known) return known;
    const file = join(folder, shard);
    if (!isFile(file)) throw missingShard(files, shard, index);
    const read = readSafetensorsHeader(file);
    headers.set(shard, read);
    return read;
  };
  return {
    keys: () => files.keys(),
    has: (name) => files.has(name),
    get(name) {
      const shard = files.get(name);
      if (shard === undefined) return undefined;
      const info = header(shard).get(name);
      if (info) return info;
      const others = [...new Set(files.values())].filter((other) => isFile(join(folder, other)));
      const elsewhere = others.find((other) => header(other).has(name));
      throw misplaced(name, shard, elsewhere, index);
    },
  };
}

/** The error for a shard that is not there. */
export function missingShard(
  files: ReadonlyMap<string, string>,
  shard: string,
  index: string,
): MlxGemmaError {
  const count = [...files.values()].filter((name) => name === shard).length;
  return checkpointError(
    index,
    `expected the shard ${quote(shard)} (${count} tensors) beside it, found nothing there; download it`,
  );
}

/** The error for a tensor that is not where the index says. @param elsewhere the shard that has it */
export function misplaced(
  name: string,
  shard: string,
  elsewhere: string | undefined,
  index: string,
): MlxGemmaError {
  return checkpointError(
    index,
    `expected tensor ${quote(name)} in ${quote(shard)}, found it ${elsewhere ? `in ${quote(elsewhere)}` : "nowhere"}; download the index and its shards again`,
  );
}

/**
 * Reads an index.
 *
 * @param index its path, for errors
 * @returns the shard of each tensor, by plain names
 * @throws MlxGemmaError `checkpoint` for what is no index.
 */
export function parseIndex(json: unknown, index: string): Map<string, string> {
  const map = isObject(json) ? json.weight_map : undefined;
  if (!isObject(map)) {
    throw checkpointError(
      index,
      `weight_map: expected an object, found ${describe(map)}; download the index again`,
    );
  }
  const files = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (!isShardName(shard)) {
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
