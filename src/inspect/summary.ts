import type { SurveyedModel } from "../checkpoint/survey.js";
import type { AssistantConfig, TargetConfig } from "../checkpoint/types.js";
import type { NativeQuantization } from "../mlx/native.js";
import { atContexts, candidatesOf, parametersOf, type UsedTensor } from "./memory.js";
import { PARTS, type PartName, partOf } from "./names.js";
import { type Inspected, modelOf } from "./open.js";
import type { ModelFacts, Part, Summary } from "./schema.js";

/**
 * What a checkpoint is.
 *
 * @param bandwidth of the memory, bytes a second
 * @throws MlxGemmaError what is wrong with a config that can't be resolved
 */
export function summarize(inspected: Inspected, bandwidth: number): Summary {
  const model = modelOf(inspected);
  const used = usedTensors(inspected, model);
  return {
    view: "summary",
    checkpoint: inspected.facts,
    model: modelFacts(model, used),
    parts: partsOf(inspected, model),
    parameters: parametersOf(model, used),
    weightBytes: used.reduce((sum, { tensor }) => sum + tensor.bytes, 0),
    bandwidth,
    contexts: atContexts(model, used, bandwidth),
    findings: inspected.findings.length,
  };
}

function usedTensors({ tensors, canonical }: Inspected, { plan }: SurveyedModel): UsedTensor[] {
  const all = tensors.map((tensor) => ({ canonical: canonical(tensor.name), tensor }));
  return all.filter((one) => plan.tensors.has(one.canonical));
}

function partsOf({ tensors, canonical }: Inspected, { plan }: SurveyedModel): Part[] {
  const sums = new Map<
    PartName,
    { tensors: number; parameters: number; bytes: number; floatBytes: number }
  >();
  for (const { name, parameters, bytes } of tensors) {
    const own = canonical(name);
    const part = partOf(name, own, plan.tensors.has(own));
    const before = sums.get(part) ?? { tensors: 0, parameters: 0, bytes: 0, floatBytes: 0 };
    sums.set(part, {
      tensors: before.tensors + 1,
      parameters: before.parameters + parameters,
      bytes: before.bytes + bytes,
      // A table of integers has no parameters that its bits could be of.
      floatBytes: before.floatBytes + (parameters > 0 ? bytes : 0),
    });
  }
  return PARTS.flatMap((part) => {
    const found = sums.get(part);
    if (!found) return [];
    const { floatBytes, ...sum } = found;
    const bitsPerParameter = sum.parameters > 0 ? (8 * floatBytes) / sum.parameters : null;
    return [{ part, ...sum, bitsPerParameter }];
  });
}

function modelFacts(model: SurveyedModel, used: readonly UsedTensor[]): ModelFacts {
  const { config, plan } = model;
  const own = model.kind === "target" ? targetFacts(model.config) : assistantFacts(model.config);
  return {
    kind: model.kind,
    modelType: config.modelType,
    dtype: plan.dtype,
    quantization: quantizationFacts(Object.values(plan.quantization)),
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    numHeads: config.numHeads,
    slidingWindow: config.slidingWindow,
    ...own,
    tensorsPerLayer: tensorsPerLayer(used, config.layers.length),
  };
}

type Own = Pick<
  ModelFacts,
  "layers" | "maxPositionEmbeddings" | "hiddenSizePerLayerInput" | "experts" | "backboneHiddenSize" | "head"
>;

function targetFacts(config: TargetConfig): Own {
  return {
    layers: config.layers.map(({ type, headDim, numKvHeads, intermediateSize, kvSource }) => ({
      type,
      headDim,
      numKvHeads,
      intermediateSize,
      kvSource,
    })),
    maxPositionEmbeddings: config.maxPositionEmbeddings,
    hiddenSizePerLayerInput: config.hiddenSizePerLayerInput,
    experts: config.experts ?? null,
    backboneHiddenSize: null,
    head: { type: "tied", numCentroids: null, topK: null, candidates: null },
  };
}

function assistantFacts({ layers, backboneHiddenSize, centroidHead, vocabSize }: AssistantConfig): Own {
  return {
    layers: layers.map(({ type, headDim, numKvHeads, intermediateSize }) => ({
      type,
      headDim,
      numKvHeads,
      intermediateSize,
      kvSource: null,
    })),
    maxPositionEmbeddings: null,
    hiddenSizePerLayerInput: 0,
    experts: null,
    backboneHiddenSize,
    head: centroidHead
      ? { type: "centroid", ...centroidHead, candidates: candidatesOf(vocabSize, centroidHead) }
      : { type: "dense", numCentroids: null, topK: null, candidates: vocabSize },
  };
}

function quantizationFacts(modules: readonly NativeQuantization[]): ModelFacts["quantization"] {
  const ways = new Map<string, ModelFacts["quantization"][number]>();
  for (const { bits, groupSize, mode } of modules) {
    const key = `${bits}/${groupSize}/${mode}`;
    ways.set(key, { bits, groupSize, mode, modules: (ways.get(key)?.modules ?? 0) + 1 });
  }
  return [...ways.values()].sort((a, b) => b.modules - a.modules);
}

function tensorsPerLayer(used: readonly UsedTensor[], layers: number): number[] {
  const counts = Array.from({ length: layers }, () => 0);
  for (const { canonical } of used) {
    const index = Number(/^(?:model\.)?layers\.(\d+)\./.exec(canonical)?.[1] ?? Number.NaN);
    const before = counts[index];
    if (before !== undefined) counts[index] = before + 1;
  }
  return counts;
}
