import { cacheBytes } from "../checkpoint/cache-bytes.js";
import { ITEM_SIZE } from "../checkpoint/dtypes.js";
import { isAssistantTable, isExpert, isPerLayerTable, scoredShare } from "../checkpoint/partly-read.js";
import type { SurveyedModel } from "../checkpoint/survey.js";
import type { TargetConfig } from "../checkpoint/types.js";
import type { LogicalTensor } from "./logical.js";
import type { AtContext, Summary } from "./schema.js";

/** Positions that memory is told for, as far as the model has them. */
const CONTEXTS = [1024, 8192, 131_072];

/** A tensor that the model reads, by its canonical name. */
export interface UsedTensor {
  readonly canonical: string;
  readonly tensor: LogicalTensor;
}

/** Parameters of a model. */
export function parametersOf(model: SurveyedModel, used: readonly UsedTensor[]): Summary["parameters"] {
  const total = sum(used, ({ tensor }) => tensor.parameters);
  const tables = sum(used, ({ canonical, tensor }) => (isPerLayerTable(canonical) ? tensor.parameters : 0));
  const experts = sum(used, ({ canonical, tensor }) => (isExpert(canonical) ? tensor.parameters : 0));
  const effective = total - tables;
  return { total, effective, active: Math.round(effective - experts * (1 - expertShare(model))) };
}

/** Bytes of keys and values that are kept of so many positions: those of the layers that have their own. */
export function kvCacheBytes(
  { layers, slidingWindow }: TargetConfig,
  itemBytes: number,
  positions: number,
): number {
  const producers = layers.filter(({ kvSource }, index) => kvSource === index);
  return cacheBytes(producers, { slidingWindow, positions, itemBytes });
}

/** Bytes of weights that a step of one token reads. */
export function weightBytesPerToken(model: SurveyedModel, used: readonly UsedTensor[]): number {
  return Math.round(sum(used, ({ canonical, tensor }) => tensor.bytes * shareRead(canonical, tensor, model)));
}

function shareRead(canonical: string, { shape }: LogicalTensor, model: SurveyedModel): number {
  if (isPerLayerTable(canonical)) return 1 / (shape[0] ?? 1);
  if (isExpert(canonical)) return expertShare(model);
  return model.kind === "assistant" && isAssistantTable(canonical) ? scoredShare(model.config) : 1;
}

function expertShare(model: SurveyedModel): number {
  const experts = model.kind === "target" ? model.config.experts : undefined;
  return experts ? experts.topK / experts.count : 1;
}

/** What a model needs and reads at several lengths of the context. @param bandwidth bytes a second */
export function atContexts(
  model: SurveyedModel,
  used: readonly UsedTensor[],
  bandwidth: number,
): AtContext[] {
  const weights = sum(used, ({ tensor }) => tensor.bytes);
  const reading = weightBytesPerToken(model, used);
  const item = ITEM_SIZE[model.plan.dtype];
  const most = model.kind === "target" ? model.config.maxPositionEmbeddings : 0;
  const contexts = CONTEXTS.filter((context) => context <= most);
  // A small model, and one that keeps no keys at all.
  if (contexts.length === 0) contexts.push(most);
  return contexts.map((context) => {
    const cache = model.kind === "target" ? kvCacheBytes(model.config, item, context) : 0;
    // A layer that shares another's keys reads them once more.
    const read =
      model.kind === "target"
        ? cacheBytes(model.config.layers, {
            slidingWindow: model.config.slidingWindow,
            positions: context,
            itemBytes: item,
          })
        : 0;
    const bytesPerToken = reading + read;
    return {
      context,
      kvCacheBytes: cache,
      memoryBytes: weights + cache,
      bytesPerToken,
      readLimit: bytesPerToken > 0 ? bandwidth / bytesPerToken : 0,
    };
  });
}

function sum<T>(items: Iterable<T>, of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}

/** Tokens that a step of a centroid head scores. */
export function candidatesOf(
  vocabSize: number,
  { numCentroids, topK }: { numCentroids: number; topK: number },
): number {
  return (vocabSize / numCentroids) * topK;
}
