import { MlxGemmaError } from "../errors.js";
import type { LayerType, NativeLayerConfig } from "../mlx/native.js";
import type { Warning, WarningCode } from "../warnings.js";
import { originOf } from "./known-pairs.js";
import { LAYER_TYPES } from "./layers.js";
import { nameOfFolder } from "./locate.js";
import { compareTokenizers } from "./tokenizer-content.js";
import type {
  AssistantCheckpoint,
  AssistantConfig,
  RopeParameters,
  TargetCheckpoint,
  TargetConfig,
} from "./types.js";

/**
 * Checks that an assistant can draft for a target: {@link checkFit}, and what both tokenizers call their ids where
 * both folders have one. The families are not asked for: what fits by its values, fits.
 *
 * @returns what may cost accepted drafts
 * @throws MlxGemmaError `pair` with both values, `checkpoint` for a broken tokenizer.json.
 */
export function checkPair(target: TargetCheckpoint, assistant: AssistantCheckpoint): Warning[] {
  checkFit(target.config, assistant.config);
  return [
    ...differences(target, assistant),
    ...tokenizerWarnings(compareTokenizers(target.folder, assistant.folder)),
  ];
}

/** A checkpoint, as far as warnings of a pair need it. */
type Named<C> = { readonly folder: string; readonly config: C };

/** What does not keep an assistant from drafting, though it was not made for this target. */
export function differences(target: Named<TargetConfig>, assistant: Named<AssistantConfig>): Warning[] {
  const warnings: Warning[] = [];
  const bits = new Set(Object.values(target.config.quantization ?? {}).map((how) => how.bits));
  if (bits.size > 0) {
    const told = [...bits].sort((a, b) => a - b).join(", ");
    warnings.push(costing("packed-target", `the target's weights are packed in ${told} bits`));
  }
  const names = [target, assistant].map(({ folder }) => nameOfFolder(folder));
  const [made, trained] = names.map(originOf);
  if (made !== undefined && trained !== undefined && made !== trained) {
    warnings.push(
      costing(
        "other-fine-tune",
        `the assistant (${names[1]}) was made for another fine-tune than ${names[0]}`,
      ),
    );
  }
  if (isUnified(target.config) !== isUnified(assistant.config)) {
    warnings.push(
      costing(
        "other-family",
        `they are of different families (${target.config.modelType} and ${assistant.config.modelType})`,
      ),
    );
  }
  return warnings;
}

/** @param compared ids that only one of both tokenizers has named; or why they were not compared */
export function tokenizerWarnings(compared: readonly number[] | string): Warning[] {
  if (typeof compared === "string") {
    return [{ code: "tokenizers-not-compared", message: `the tokenizers were not compared: ${compared}` }];
  }
  if (compared.length === 0) return [];
  const reason = `${compared.length} free tokens have another name in one of the tokenizers (the first is id ${compared[0]})`;
  return [costing("renamed-tokens", reason)];
}

function costing(code: WarningCode, reason: string): Warning {
  const message = `target and assistant fit, but ${reason}: fewer drafts may be accepted, the text stays the same`;
  return { code, message };
}

function isUnified({ modelType }: TargetConfig | AssistantConfig): boolean {
  return modelType.startsWith("gemma4_unified");
}

/** One rule that a pair must keep, with both sides' values. */
export interface PairRule {
  /** `hidden size`, `rope of full_attention layers` … */
  readonly what: string;
  readonly target: string;
  readonly assistant: string;
  /** The assistant's config key. */
  readonly key: string;
  readonly fits: boolean;
}

/**
 * Checks that an assistant's network can read a target's embeddings, hidden states and K/V, by {@link pairRules}.
 *
 * @throws MlxGemmaError `pair` with both values of the first rule that is broken.
 */
export function checkFit(target: TargetConfig, assistant: AssistantConfig): void {
  const broken = pairRules(target, assistant).find(({ fits }) => !fits);
  if (!broken) return;
  throw new MlxGemmaError(
    "pair",
    `target and assistant do not fit: ${broken.what}: the target has ${broken.target}, the assistant ${broken.assistant} (its ${broken.key}); give the assistant that was made for this target`,
  );
}

/** What must be the same in both: sizes, the vocabulary's, the window and rope, of each layer type that both have. */
export function pairRules(target: TargetConfig, assistant: AssistantConfig): PairRule[] {
  return [
    same("hidden size", target.hiddenSize, assistant.backboneHiddenSize, "backbone_hidden_size"),
    same("vocabulary", target.vocabSize, assistant.vocabSize, "text_config.vocab_size"),
    ...LAYER_TYPES.flatMap((type) => layerRules(type, target, assistant)),
  ];
}

function layerRules(type: LayerType, target: TargetConfig, assistant: AssistantConfig): PairRule[] {
  const wanted = assistant.layers.find((layer) => layer.type === type);
  if (!wanted) return [];
  const source = exporter(target, type);
  if (!source) {
    return [
      {
        what: `layers of type ${type}`,
        target: "none with K/V of its own",
        assistant: "reads their K/V",
        key: "layer_types",
        fits: false,
      },
    ];
  }
  // The same rope turns heads of another size differently.
  const over = source.headDim === wanted.headDim ? () => "" : (size: number) => `, heads of ${size}`;
  return [
    same(
      `K/V heads of ${type} layers`,
      source.numKvHeads,
      wanted.numKvHeads,
      "text_config.num_key_value_heads",
    ),
    same(`head size of ${type} layers`, source.headDim, wanted.headDim, "text_config.head_dim"),
    ...(type === "sliding_attention"
      ? [same("sliding window", target.slidingWindow, assistant.slidingWindow, "text_config.sliding_window")]
      : []),
    {
      what: `rope of ${type} layers`,
      target: rope(target.rope[type]) + over(source.headDim),
      assistant: rope(assistant.rope[type]) + over(wanted.headDim),
      key: "text_config.rope_parameters",
      fits: sameNumbers(target.inverseFrequencies[type], assistant.inverseFrequencies[type]),
    },
  ];
}

/** The last producer of a type: the layer whose K/V the target exports. */
function exporter(target: TargetConfig, type: NativeLayerConfig["type"]): NativeLayerConfig | undefined {
  return target.layers.findLast((layer, index) => layer.type === type && layer.kvSource === index);
}

function same(what: string, target: number, assistant: number, key: string): PairRule {
  return { what, target: String(target), assistant: String(assistant), key, fits: target === assistant };
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
