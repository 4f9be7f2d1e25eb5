import { INDEX, isPlainName, isShardName, MAX_SHARDS, WEIGHTS } from "../file-names.js";
import { isObject } from "../json.js";

export const CONFIG = "config.json";

/** Small files that decide what is computed or shown: all of them that a repository has are needed. */
const NAMED =
  /^(?:config|generation_config|tokenizer[\w.-]*|chat_template[\w.-]*)\.json$|^chat_template[\w.-]*\.jinja$/;

/** A snapshot counts as whole only when each of these is there, or known not to exist. */
export const EXPECTED = ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] as const;

/** Tensors that text needs none of, by the names of transformers and of MLX conversions. */
const NOT_TEXT =
  /^(?:model\.)?(?:vision_tower|vision_embedder|embed_vision|audio_tower|embed_audio|multi_modal_projector)\./;

/** Whether a tensor belongs to the text model, or to nothing that is known to be another part. */
export function isTextTensor(name: string): boolean {
  return !NOT_TEXT.test(name);
}

/** The files beside the weights that are needed, of those a repository has. */
export function neededCompanions(names: readonly string[]): string[] {
  return names.filter((name) => NAMED.test(name) && isPlainName(name));
}

/** Which file the weights are read from, or from which index; undefined where there is neither. */
export function weightsEntry(names: {
  has(name: string): boolean;
}): typeof WEIGHTS | typeof INDEX | undefined {
  if (names.has(WEIGHTS)) return WEIGHTS;
  return names.has(INDEX) ? INDEX : undefined;
}

/**
 * The shards of an index that hold at least one tensor of the text model; all of them where none is recognized.
 *
 * @returns undefined for an index that is none
 */
export function neededShards(index: unknown): string[] | undefined {
  const map = isObject(index) ? index.weight_map : undefined;
  if (!isObject(map)) return undefined;
  const needed = new Set<string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (!isShardName(shard)) return undefined;
    if (isTextTensor(tensor)) needed.add(shard);
  }
  return needed.size > 0 && needed.size <= MAX_SHARDS ? [...needed].sort() : undefined;
}
