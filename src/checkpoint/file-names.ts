/** The file of weights of a checkpoint that is one, and the index of one in shards. */
export const WEIGHTS = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

/** The most shards of one checkpoint. */
export const MAX_SHARDS = 10_000;

/** Whether a file stands in a folder under a plain name that every system can write and that hides nothing. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][\w.+-]{0,199}$/.test(name) && !name.endsWith(".");
}

/** Whether an index may name it as a shard, which lies beside it: a path could reach any file of this machine. */
export function isShardName(name: unknown): name is string {
  return typeof name === "string" && isPlainName(name) && name.endsWith(".safetensors");
}
