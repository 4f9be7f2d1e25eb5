import { join } from "node:path";
import { INDEX, WEIGHTS } from "../checkpoint/file-names.js";
import { locateFolder, openAssistant, openTarget } from "../checkpoint/index.js";
import { isObject } from "../checkpoint/json.js";
import { isFile, readJson } from "../checkpoint/plain-file.js";
import { INDEX_LIMITS, openTensors } from "../checkpoint/shards.js";
import type { TensorInfo, WeightPlan } from "../checkpoint/types.js";
import { MlxGemmaError } from "../errors.js";

/** A checked checkpoint whose weights are floats. */
export interface Source {
  readonly kind: "target" | "assistant";
  /** Absolute path. */
  readonly folder: string;
  /** config.json as it stands. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The text model's part of it. */
  readonly text: Readonly<Record<string, unknown>>;
  /** The weights of the text model or assistant, by canonical name. */
  readonly plan: WeightPlan;
  /** Every tensor of the folder, by its name there. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Tensors beside the text model whose files are not there: a download for text leaves them out. */
  readonly absent: readonly string[];
  /** What stands before a canonical name in the folder. */
  readonly prefix: string;
  /** num_hidden_layers. */
  readonly layers: number;
  /** Sizes whose defaults depend on the family. */
  readonly sizes: {
    readonly hiddenSizePerLayerInput: number;
    readonly slidingWindow: number;
    /** Absent for an assistant, which has its target's. */
    readonly maxPositionEmbeddings?: number;
  };
  readonly centroidHead: boolean;
  /** What attention reads, layer by layer: what a config in transformers' own form leaves unsaid. */
  readonly shapes: readonly {
    readonly type: string;
    readonly headDim: number;
    readonly numKvHeads: number;
  }[];
}

/**
 * Opens what is to be quantized: a folder's configs and headers are read and checked, no weights.
 *
 * @throws MlxGemmaError `usage` for weights that are quantized already; else as `openTarget`.
 */
export function openSource(path?: string): Source {
  const folder = locateFolder(path);
  const file = join(folder, "config.json");
  const config = readJson(file);
  if (!isObject(config)) {
    openTarget(folder); // Says what is wrong with it.
    throw new MlxGemmaError("checkpoint", `${file}: expected a JSON object, found something else`);
  }
  const text = isObject(config.text_config) ? config.text_config : config;
  refuseQuantized(file, config, text);
  const kind = String(config.model_type).endsWith("_assistant") ? "assistant" : "target";
  const { config: resolved, weights: plan } =
    kind === "assistant" ? openAssistant(folder) : openTarget(folder);
  const { tensors, absent } = tensorsOf(folder);
  const packed = [...tensors.keys()].find((name) => name.endsWith(".scales"));
  if (packed !== undefined) throw alreadyQuantized(`${folder}: tensor ${packed}`, "packed weights");
  const norm = kind === "assistant" ? "model.norm.weight" : "norm.weight";
  const stored = plan.tensors.get(norm)?.name ?? norm;
  return {
    kind,
    folder,
    config,
    text,
    plan,
    tensors,
    absent,
    prefix: stored.slice(0, stored.length - norm.length),
    layers: resolved.layers.length,
    sizes: { hiddenSizePerLayerInput: 0, ...resolved },
    centroidHead: "centroidHead" in resolved && resolved.centroidHead !== undefined,
    shapes: resolved.layers,
  };
}

/** All tensors but those of missing files; what the text model needs was found to be there. */
function tensorsOf(folder: string): Pick<Source, "tensors" | "absent"> {
  const directory = openTensors(folder);
  const index = join(folder, INDEX);
  const json = isFile(join(folder, WEIGHTS)) ? undefined : readJson(index, INDEX_LIMITS);
  const shardOf = isObject(json) && isObject(json.weight_map) ? json.weight_map : {};
  const tensors = new Map<string, TensorInfo>();
  const absent: string[] = [];
  for (const name of directory.keys()) {
    const shard = shardOf[name];
    const info = typeof shard === "string" && !isFile(join(folder, shard)) ? undefined : directory.get(name);
    if (info) tensors.set(name, info);
    else absent.push(name);
  }
  return { tensors, absent };
}

function refuseQuantized(file: string, ...configs: readonly Readonly<Record<string, unknown>>[]): void {
  for (const config of configs) {
    for (const key of ["quantization", "quantization_config"]) {
      if (config[key] !== undefined && config[key] !== null) throw alreadyQuantized(file, key);
    }
  }
}

function alreadyQuantized(where: string, found: string): MlxGemmaError {
  return new MlxGemmaError(
    "usage",
    `${where}: expected a checkpoint with float weights (bf16, f16, f32), found a quantized one (${found}); give the checkpoint that it was made from`,
  );
}
