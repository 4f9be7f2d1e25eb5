import type { ModelFacts, Summary } from "../../../inspect/schema.js";
import { size } from "../../../units.js";
import { columnsTable, type Screen } from "../columns.js";
import { printableName } from "../terminal-text.js";
import { wrapWords } from "../wrap.js";
import { count, percent, positions } from "./numbers.js";
import { layerStrip } from "./strip.js";

/** What a checkpoint is, for people. */
export function summaryText(summary: Summary, screen: Screen): string {
  const { chalk, columns } = screen;
  const { checkpoint, model } = summary;
  const facts = [...factsOf(model), ["weights", weights(summary)] as const];
  return [
    chalk.bold(printableName(checkpoint.name)),
    `Gemma 4 ${model.kind} (${model.modelType})`,
    "",
    ...facts.map(([label, text]) => fact(label, text, columns)),
    "",
    ...layerStrip(model, screen),
    "",
    partsTable(summary, screen),
    "",
    parametersLine(summary, columns),
    "",
    contextsTable(summary, screen),
  ].join("\n");
}

const LABEL = 14;

function fact(label: string, text: string, columns: number): string {
  return label.padEnd(LABEL) + wrapWords(text, columns - LABEL).join(`\n${" ".repeat(LABEL)}`);
}

function factsOf(model: ModelFacts): (readonly [string, string])[] {
  const { layers, experts, head } = model;
  const widths = [...new Set(layers.map(({ intermediateSize }) => intermediateSize))].sort((a, b) => a - b);
  return [
    ["sizes", `hidden ${model.hiddenSize}, ${layers.length} layers, vocabulary ${model.vocabSize}`],
    ...(model.backboneHiddenSize === null
      ? []
      : [["backbone", `hidden ${model.backboneHiddenSize}, of its target`] as const]),
    ["attention", `${model.numHeads} query heads; ${attention(model)}`],
    ["feed-forward", widths.join(" and ")],
    ...(experts
      ? [
          [
            "experts",
            `${experts.count} of ${experts.intermediateSize}, ${experts.topK} for each token`,
          ] as const,
        ]
      : []),
    ...(model.hiddenSizePerLayerInput > 0
      ? [["per-layer", `inputs of ${model.hiddenSizePerLayerInput} in every layer`] as const]
      : []),
    ...(model.maxPositionEmbeddings === null
      ? []
      : [["context", `${model.maxPositionEmbeddings} positions`] as const]),
    ["head", headText(head)],
    ...(model.kind === "assistant" ? [["tensors", tensorsPerLayer(model)] as const] : []),
  ];
}

function attention({ layers, slidingWindow }: ModelFacts): string {
  return (["sliding_attention", "full_attention"] as const)
    .flatMap((type) => {
      const layer = layers.find((one) => one.type === type);
      if (!layer) return [];
      const window = type === "sliding_attention" ? `sliding, window ${slidingWindow}` : "full";
      return [`${window}: ${layer.numKvHeads} K/V heads of ${layer.headDim}`];
    })
    .join("; ");
}

function headText({ type, numCentroids, topK, candidates }: ModelFacts["head"]): string {
  switch (type) {
    case "tied":
      return "tied to the embedding";
    case "dense":
      return `dense, tied to its embedding (${candidates} tokens scored in a step)`;
    case "centroid":
      return `centroid, ${numCentroids} clusters, ${topK} of them scored in a step (${candidates} tokens)`;
  }
}

function tensorsPerLayer({ tensorsPerLayer: counts }: ModelFacts): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return `${least === most ? most : `${least} to ${most}`} a layer`;
}

function weights({ model, checkpoint, weightBytes }: Summary): string {
  const packed = model.quantization.map(
    ({ bits, groupSize, mode, modules }) =>
      `${modules} modules in ${bits} bit (${mode}, groups of ${groupSize})`,
  );
  const there = checkpoint.shards.filter(({ bytes }) => bytes !== null).length;
  const of = there < checkpoint.shards.length ? `${there} of ${checkpoint.shards.length}` : String(there);
  const files = `${size(checkpoint.bytes)} in ${of} ${checkpoint.shards.length === 1 ? "file" : "files"}`;
  const used = weightBytes < 0.995 * checkpoint.bytes ? `, ${size(weightBytes)} of them loaded` : "";
  return [model.dtype, ...packed, files + used].join("; ");
}

function partsTable({ parts }: Summary, screen: Screen): string {
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  return columnsTable(
    [
      { head: "part" },
      { head: "tensors", right: true },
      { head: "parameters", right: true },
      { head: "bytes", right: true },
      { head: "share", right: true },
      { head: "bits each", right: true },
    ],
    parts.map(({ part, tensors, parameters, bytes, bitsPerParameter }) => [
      part,
      String(tensors),
      count(parameters),
      size(bytes),
      percent(total > 0 ? bytes / total : 0),
      bitsPerParameter === null ? "" : bitsPerParameter.toFixed(2),
    ]),
    screen,
  );
}

function parametersLine({ parameters: { total, effective, active } }: Summary, columns: number): string {
  const less = [
    ...(effective < total
      ? [`${count(effective)} effective (without the table of per-layer embeddings)`]
      : []),
    ...(active < effective ? [`${count(active)} active for a token`] : []),
  ];
  return fact("parameters", [count(total), ...less].join("; "), columns);
}

function contextsTable({ contexts, bandwidth, model }: Summary, screen: Screen): string {
  const limit = `limit at ${bandwidth / 1e9} GB/s`;
  const unit = model.kind === "target" ? "tok/s" : "steps/s";
  const [only] = contexts;
  if (model.kind === "assistant" && only) {
    const text = `${size(only.memoryBytes)} of memory; a step reads ${size(only.bytesPerToken)} beside the target's K/V: at most ${only.readLimit.toFixed(0)} ${unit} at ${bandwidth / 1e9} GB/s`;
    return fact("reading", text, screen.columns);
  }
  return columnsTable(
    [
      { head: "context" },
      { head: "K/V cache", right: true },
      { head: "memory", right: true },
      { head: "read a token", right: true },
      { head: limit, right: true },
    ],
    contexts.map(({ context, kvCacheBytes, memoryBytes, bytesPerToken, readLimit }) => [
      positions(context),
      size(kvCacheBytes),
      size(memoryBytes),
      size(bytesPerToken),
      `${readLimit.toFixed(readLimit < 10 ? 1 : 0)} ${unit}`,
    ]),
    screen,
  );
}
