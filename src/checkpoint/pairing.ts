import { MlxGemmaError } from "../errors.js";
import type { LayerType, NativeLayerConfig } from "../mlx/native.js";
import type { AssistantConfig, RopeParameters, TargetConfig } from "./types.js";

const TYPES: readonly LayerType[] = ["sliding_attention", "full_attention"];

/**
 * Checks that an assistant can draft for a target: it reads the target's embeddings, hidden states and K/V, so their
 * sizes, the vocabulary, the window and rope must be the same.
 *
 * @throws MlxGemmaError `pair` with both values.
 */
export function checkPair(target: TargetConfig, assistant: AssistantConfig): void {
  same("hidden size", target.hiddenSize, assistant.backboneHiddenSize, "backbone_hidden_size");
  same("vocabulary", target.vocabSize, assistant.vocabSize, "text_config.vocab_size");
  for (const type of TYPES) {
    const wanted = assistant.layers.find((layer) => layer.type === type);
    if (!wanted) continue;
    const source = exporter(target, type);
    if (!source)
      throw mismatch(`layers of type ${type}`, "none with K/V of its own", "reads their K/V", "layer_types");
    same(
      `K/V heads of ${type} layers`,
      source.numKvHeads,
      wanted.numKvHeads,
      "text_config.num_key_value_heads",
    );
    same(`head size of ${type} layers`, source.headDim, wanted.headDim, "text_config.head_dim");
    if (type === "sliding_attention") {
      same("sliding window", target.slidingWindow, assistant.slidingWindow, "text_config.sliding_window");
    }
    if (!sameNumbers(target.inverseFrequencies[type], assistant.inverseFrequencies[type])) {
      throw mismatch(
        `rope of ${type} layers`,
        rope(target.rope[type]),
        rope(assistant.rope[type]),
        "text_config.rope_parameters",
      );
    }
  }
}

/** The last producer of a type: the layer whose K/V the target exports. */
function exporter(target: TargetConfig, type: LayerType): NativeLayerConfig | undefined {
  return target.layers.findLast((layer, index) => layer.type === type && layer.kvSource === index);
}

function same(what: string, target: number, assistant: number, key: string): void {
  if (target !== assistant) throw mismatch(what, String(target), String(assistant), key);
}

function mismatch(what: string, target: string, assistant: string, key: string): MlxGemmaError {
  return new MlxGemmaError(
    "pair",
    `target and assistant do not fit: ${what}: the target has ${target}, the assistant ${assistant} (its ${key}); give the assistant that was made for this target`,
  );
}

function sameNumbers(a: Float32Array | undefined, b: Float32Array | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.length === b.length &&
    a.every((value, index) => value === b[index])
  );
}

function rope(parameters: RopeParameters | undefined): string {
  if (!parameters) return "none";
  const { type, theta, partialRotaryFactor, factor } = parameters;
  return `${type} theta ${theta}, partial_rotary_factor ${partialRotaryFactor}, factor ${factor}`;
}
