import type { LayerType } from "../mlx/native.js";
import { checkpointError, describe } from "./json.js";
import { at, type Place, type TextConfig, unsupported } from "./schema.js";
import type { RopeParameters } from "./types.js";

/** What the reference takes where `rope_parameters` is absent. */
const DEFAULTS: { readonly [T in LayerType]: RopeParameters } = {
  sliding_attention: { type: "default", theta: 10_000, partialRotaryFactor: 1, factor: 1 },
  full_attention: { type: "proportional", theta: 1_000_000, partialRotaryFactor: 0.25, factor: 1 },
};

/**
 * Rope parameters of one layer type.
 *
 * @throws MlxGemmaError `checkpoint` when the map lacks the type, `unsupported` for another kind of rope.
 */
export function ropeParameters(config: TextConfig, type: LayerType, place: Place): RopeParameters {
  if (!config.rope_parameters) return DEFAULTS[type];
  const given = config.rope_parameters[type];
  const where = at(place, "rope_parameters", type);
  if (!given) {
    throw checkpointError(
      where,
      "expected rope parameters, found nothing, though layers of that type are there; mend config.json",
    );
  }
  const kind = given.rope_type ?? given.type ?? "default";
  if (kind !== "default" && kind !== "proportional") {
    throw unsupported(where, `the model wants rope of type ${describe(kind)}`);
  }
  // The reference's "default" rope looks at theta alone.
  return kind === "default"
    ? { type: kind, theta: given.rope_theta, partialRotaryFactor: 1, factor: 1 }
    : {
        type: kind,
        theta: given.rope_theta,
        partialRotaryFactor: given.partial_rotary_factor ?? 1,
        factor: given.factor ?? 1,
      };
}

/**
 * Inverse frequencies of the `headDim / 2` pairs (j, j + headDim / 2), float32. Proportional rope turns the first
 * `int(partialRotaryFactor · headDim / 2)` pairs, with the exponent over the whole head; the others get 0.
 * Each step is rounded to float32 as torch does it.
 */
export function inverseFrequencies(rope: RopeParameters, headDim: number): Float32Array {
  const pairs = headDim / 2;
  const turning = Math.floor((rope.partialRotaryFactor * headDim) / 2);
  const frequencies = new Float32Array(pairs); // (head_dim / 2)
  for (let j = 0; j < Math.min(turning, pairs); j++) {
    const exponent = Math.fround((2 * j) / headDim);
    const inverse = Math.fround(1 / Math.fround(rope.theta ** exponent));
    frequencies[j] = inverse / rope.factor;
  }
  return frequencies;
}
