import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveAssistant, resolveTarget } from "../../../src/checkpoint/config.js";
import {
  assistantWeights,
  type ExpectedWeight,
  targetWeights,
} from "../../../src/checkpoint/expected-weights.js";
import { integerTensor, type StoredTensor } from "../../support/tensors.js";
import { quantizationBlock, writeFolder } from "../../support/tiny-checkpoint.js";
import { type Packing, TinyWriter } from "../../support/tiny-writer.js";
import { DECODERS, tokenizerJson } from "../../text/tiny-tokenizer.js";
import { type Configuration, PACKINGS } from "./configuration.js";
import { configsOf } from "./model.js";

/** A part on disk, and its values as floats, packed ones too, by canonical name. */
export interface WrittenPart {
  readonly folder: string;
  readonly values: ReadonlyMap<string, StoredTensor>;
}

/** Writes the pair of a configuration into `folder`, as checkpoints stand on disk. */
export function writePair(
  configuration: Configuration,
  folder: string,
): { readonly target: WrittenPart; readonly assistant: WrittenPart } {
  const { model } = configuration;
  const configs = configsOf(configuration);
  const packed = PACKINGS[model.packing] !== undefined;
  const mlx = packed || model.packaging === "mlx";
  const prefix =
    model.packaging === "text" ? "model." : mlx ? "language_model.model." : "model.language_model.";
  const weights = targetWeights(
    resolveTarget({ file: "config.json", config: configs.target }),
    mlx ? "split" : "stacked",
  );
  const target = join(folder, "target");
  const assistant = join(folder, "assistant");
  const parts = {
    target: writePart(target, configs.target, weights, { configuration, prefix, seed: model.weights }),
    assistant: writePart(
      assistant,
      configs.assistant,
      assistantWeights(resolveAssistant({ file: "config.json", config: configs.assistant })),
      { configuration, prefix: "", seed: model.weights + 1, plain: !model.packAssistant },
    ),
  };
  const tokenizer = JSON.stringify(tokenizerJson(DECODERS.gemma));
  for (const part of [target, assistant]) writeFileSync(join(part, "tokenizer.json"), tokenizer);
  return parts;
}

function writePart(
  folder: string,
  config: Record<string, unknown>,
  weights: readonly ExpectedWeight[],
  how: {
    readonly configuration: Configuration;
    readonly prefix: string;
    readonly seed: number;
    readonly plain?: boolean;
  },
): WrittenPart {
  const packing = how.plain ? undefined : PACKINGS[how.configuration.model.packing];
  const widths = new Map(
    weights.map(({ name, shape }) => [name.replace(/\.weight$/, ""), shape.at(-1) ?? 0]),
  );
  const packed: Packing = (module) => {
    // Centroids are never packed, and rows that are no whole groups neither.
    if (!packing || module.includes("centroids")) return undefined;
    return (widths.get(module) ?? 0) % Math.max(32, packing.groupSize) === 0 ? packing : undefined;
  };
  const write = new TinyWriter(packed, how.seed);
  for (const weight of weights) fill(write, weight);
  mkdirSync(folder, { recursive: true });
  const block = packing ? quantizationBlock(write.quantization, write.plain.keys(), how.prefix) : {};
  writeFolder(folder, { ...config, ...block }, write.stored, how.prefix);
  return { folder, values: write.plain };
}

/**
 * Sizes at which a model of random numbers says something: what layers add outweighs the token that came in, attention
 * looks at several keys, and the tied head does not give the last token back.
 */
function fill(write: TinyWriter, { name, shape, kind }: ExpectedWeight): void {
  const columns = shape.at(-1) ?? 1;
  const [rows = 1] = shape;
  if (kind === "index") {
    // 35 has no common divisor with the vocabulary's 16 · 19: an order of their own.
    const order = Int32Array.from({ length: rows }, (_, place) => (place * 35 + 7) % rows);
    write.tensor(name, integerTensor(order, shape));
  } else if (/(^|\.)norm\.weight$/.test(name)) {
    write.floats(name, shape, 4);
  } else if (/(embed_tokens|centroids)\.weight$/.test(name)) {
    write.matrix(name.replace(/\.weight$/, ""), shape, 1 / 4);
  } else if (/router\.proj/.test(name)) {
    write.matrix(name.replace(/\.weight$/, ""), shape, 2);
  } else if (kind === "matrix" || /gate_up_proj$|down_proj$/.test(name)) {
    // Uniform in ±size: a projection keeps the length of what it is applied to.
    const size = 2 ** Math.round(Math.log2(Math.sqrt(3 / columns)));
    if (kind === "matrix") write.matrix(name.replace(/\.weight$/, ""), shape, size);
    else write.floats(name, shape, size);
  } else {
    write.vector(name, columns, /[qk]_norm/.test(name) ? 0.75 : /post_/.test(name) ? 1.5 : 1);
  }
}
