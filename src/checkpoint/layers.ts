import type { LayerType } from "../mlx/native.js";
import { checkpointError, describe, quote } from "./json.js";
import { at, type Place, type TextConfig, unsupported } from "./schema.js";

/** Attention of one layer: its type and the size of its heads. */
export interface LayerShape {
  readonly type: LayerType;
  readonly headDim: number;
  readonly numKvHeads: number;
}

/** Every layer type that Gemma 4 has. */
export const LAYER_TYPES: readonly LayerType[] = ["sliding_attention", "full_attention"];

/** The kernels' sums of a head have room for so many values. */
const MAX_HEAD_DIM = 1024;

/** Every sixth layer is full where the config names no types. */
const PATTERN = 6;

/**
 * Type and head sizes of every layer, from either form of the config: `global_head_dim` with
 * `num_global_key_value_heads`, or `per_layer_config`, which wins where both stand.
 *
 * @throws MlxGemmaError `checkpoint` for a wrong list or sizes that cannot be, `unsupported` for other layer types and
 * larger heads.
 */
export function layerShapes(config: TextConfig, place: Place): LayerShape[] {
  const types = layerTypes(config, place);
  const overrides = perLayerOverrides(config, types, place);
  const shapes = types.map((type, index): LayerShape => {
    const own = overrides.get(index);
    return {
      type,
      headDim: own?.head_dim ?? config.head_dim,
      numKvHeads: own?.num_key_value_heads ?? config.num_key_value_heads,
    };
  });
  for (const [index, shape] of shapes.entries()) checkShape(config, shape, index, place);
  checkUniform(shapes, place);
  return shapes;
}

function layerTypes(config: TextConfig, place: Place): LayerType[] {
  const count = config.num_hidden_layers;
  const given = config.layer_types;
  if (given && given.length !== count) {
    throw checkpointError(
      at(place, "layer_types"),
      `expected ${count} entries (num_hidden_layers), found ${given.length}; mend config.json`,
    );
  }
  const types = Array.from({ length: count }, (_, index): LayerType => {
    const type = given ? given[index] : (index + 1) % PATTERN === 0 ? "full_attention" : "sliding_attention";
    if (type === "full_attention" || type === "sliding_attention") return type;
    throw unsupported(at(place, "layer_types", index), `the layer is of type ${describe(type)}`);
  });
  // The reference forces this, whatever the list says.
  types[count - 1] = "full_attention";
  return types;
}

interface Overrides {
  readonly head_dim?: number | undefined;
  readonly num_key_value_heads?: number | undefined;
}

const KNOWN_OVERRIDES = new Set(["head_dim", "num_key_value_heads"]);

function perLayerOverrides(
  config: TextConfig,
  types: readonly LayerType[],
  place: Place,
): Map<number, Overrides> {
  const result = new Map<number, Overrides>();
  if (config.per_layer_config === undefined) {
    const kvHeads = config.attention_k_eq_v ? config.num_global_key_value_heads : undefined;
    for (const [index, type] of types.entries()) {
      if (type !== "full_attention") continue;
      result.set(index, { head_dim: config.global_head_dim, num_key_value_heads: kvHeads ?? undefined });
    }
    return result;
  }
  for (const [key, value] of Object.entries(config.per_layer_config ?? {})) {
    const where = at(place, "per_layer_config", key);
    const index = /^\d{1,6}$/.test(key) ? Number(key) : -1;
    if (index < 0 || index >= types.length) {
      throw checkpointError(
        where,
        `expected a layer index from 0 to ${types.length - 1}, found ${quote(key)}; mend config.json`,
      );
    }
    if (result.has(index)) throw checkpointError(where, `layer ${index} stands twice; mend config.json`);
    const stranger = Object.keys(value).find((name) => !KNOWN_OVERRIDES.has(name));
    if (stranger !== undefined) throw unsupported(where, `the layer has its own ${quote(stranger)}`);
    result.set(index, value);
  }
  return result;
}

function checkShape(config: TextConfig, shape: LayerShape, index: number, place: Place): void {
  if (shape.headDim % 2 !== 0) {
    throw checkpointError(
      at(place, "head_dim"),
      `expected an even head size in layer ${index} (rope turns halves), found ${shape.headDim}; mend config.json`,
    );
  }
  if (shape.headDim > MAX_HEAD_DIM) {
    throw unsupported(
      at(place, "head_dim"),
      `layer ${index} has heads of ${shape.headDim} values, more than ${MAX_HEAD_DIM}`,
    );
  }
  if (config.num_attention_heads % shape.numKvHeads !== 0) {
    throw checkpointError(
      at(place, "num_key_value_heads"),
      `expected a divisor of num_attention_heads (${config.num_attention_heads}) in layer ${index}, found ${shape.numKvHeads}; mend config.json`,
    );
  }
}

/** Layers of one type share rope and K/V, hence their sizes; the reference refuses anything else too. */
function checkUniform(shapes: readonly LayerShape[], place: Place): void {
  const first = new Map<LayerType, { readonly shape: LayerShape; readonly index: number }>();
  for (const [index, shape] of shapes.entries()) {
    const known = first.get(shape.type);
    if (!known) first.set(shape.type, { shape, index });
    else if (known.shape.headDim !== shape.headDim || known.shape.numKvHeads !== shape.numKvHeads) {
      throw checkpointError(
        at(place, "per_layer_config"),
        `expected the same heads in every ${shape.type} layer, found ${known.shape.numKvHeads} of ${known.shape.headDim} ` +
          `in layer ${known.index} and ${shape.numKvHeads} of ${shape.headDim} in layer ${index}; mend config.json`,
      );
    }
  }
}

/**
 * For every layer the layer whose K/V it reads: itself, or past the last producer the last producer of its type.
 *
 * @throws MlxGemmaError `checkpoint` when a KV-shared layer finds no producer of its type.
 */
export function kvSources(types: readonly LayerType[], numShared: number, place: Place): number[] {
  const producers = types.length - numShared;
  if (producers < 1) {
    throw checkpointError(
      at(place, "num_kv_shared_layers"),
      `expected fewer than num_hidden_layers (${types.length}) in a target, found ${numShared}; is this an assistant's text_config?`,
    );
  }
  return types.map((type, index) => {
    if (index < producers) return index;
    const source = types.slice(0, producers).lastIndexOf(type);
    if (source >= 0) return source;
    throw checkpointError(
      at(place, "num_kv_shared_layers"),
      `expected a ${type} layer among the first ${producers}, for layer ${index} to read its K/V, found none; mend config.json`,
    );
  });
}
