import type { NativeQuantization } from "../mlx/native.js";
import {
  assistantWeights,
  type ExpectedWeight,
  type ExpertsPackaging,
  targetWeights,
} from "./expected-weights.js";
import { checkpointError, quote } from "./json.js";
import { checkPacked, checkPlain, floatDtype } from "./packed.js";
import type { PackingRules } from "./packing-rules.js";
import type { TensorDirectory } from "./shards.js";
import type {
  AssistantConfig,
  FloatDtype,
  TargetConfig,
  TensorInfo,
  WeightPlan,
  WeightSource,
} from "./types.js";

/** Prefixes of the text model: of the reference, of MLX conversions, of text-only checkpoints. */
const PREFIXES = ["model.language_model.", "language_model.model.", "model."];

/** What a plan is made from. */
export interface PlanInput<C> {
  /** For errors about what is nowhere. */
  readonly folder: string;
  readonly config: C;
  readonly tensors: TensorDirectory;
  /** Absent: config.json says nothing of packed weights. */
  readonly packing?: PackingRules | undefined;
}

/**
 * Finds a target's weights among a folder's tensors, under whichever prefix its packaging uses, packed or not. Surplus
 * tensors (vision, audio, unused k/v of KV-shared layers) are not looked at.
 *
 * @throws MlxGemmaError `checkpoint` for a weight that is missing, of wrong shape or dtype, or packed in another way
 * than config.json says; `unsupported` for a packing of another version.
 */
export function planTarget(input: PlanInput<TargetConfig>): WeightPlan {
  const { folder, config, tensors } = input;
  const prefix = PREFIXES.find((candidate) => tensors.has(`${candidate}embed_tokens.weight`));
  if (prefix === undefined) {
    const names = PREFIXES.map((candidate) => `${candidate}embed_tokens.weight`).join(", ");
    throw checkpointError(
      folder,
      `expected one of the tensors ${names}, found none of them; is this a Gemma 4 checkpoint?`,
    );
  }
  const split = tensors.has(`${prefix}layers.0.experts.switch_glu.gate_proj.weight`);
  const packaging: ExpertsPackaging = split ? "split" : "stacked";
  return plan(input, targetWeights(config, packaging), prefix, "");
}

/** Finds an assistant's weights; errors as in {@link planTarget}. */
export function planAssistant(input: PlanInput<AssistantConfig>): WeightPlan {
  return plan(input, assistantWeights(input.config), "", "model.");
}

/** @param stem what stands before `embed_tokens` and `norm` in canonical names */
function plan(
  { folder, tensors, packing }: PlanInput<unknown>,
  expected: readonly ExpectedWeight[],
  prefix: string,
  stem: string,
): WeightPlan {
  checkPresence(folder, expected, prefix, tensors);
  const sources = new Map<string, WeightSource>();
  const quantization: Record<string, NativeQuantization> = {};
  const warnings: string[] = [];
  const found = { folder, prefix, tensors, packing };
  for (const weight of expected) {
    const module = weight.name.replace(/\.weight$/, "");
    const packed = tensors.has(`${prefix}${module}.scales`);
    if (!packed) {
      sources.set(weight.name, source(prefix + weight.name, checkPlain(weight, found)));
      continue;
    }
    const { quantization: how, parts } = checkPacked(weight, module, found);
    quantization[module] = how;
    for (const [part, info] of Object.entries(parts)) {
      sources.set(`${module}.${part}`, source(`${prefix}${module}.${part}`, info));
    }
    if (module === "masked_embedding.centroids") {
      warnings.push(
        `${folder}: the assistant's centroids are packed in ${how.bits} bits, which costs accepted drafts; they are read as they are, a conversion that leaves them out drafts better`,
      );
    }
  }
  const bytes = [...sources.values()].reduce((sum, { bytes: own }) => sum + own, 0);
  return { tensors: sources, dtype: computeDtype(sources, stem), bytes, quantization, warnings };
}

function source(name: string, { file, shape, dtype, bytes }: TensorInfo): WeightSource {
  return { file, name, shape, dtype, bytes };
}

function checkPresence(
  folder: string,
  expected: readonly ExpectedWeight[],
  prefix: string,
  tensors: TensorDirectory,
): void {
  const missing = expected.filter(({ name }) => !tensors.has(prefix + name));
  const first = missing[0];
  if (!first) return;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more)` : "";
  throw checkpointError(
    folder,
    `expected tensor ${quote(prefix + first.name)}${others}, found nothing of that name; download the weights again, or the config.json that belongs to them`,
  );
}

/** See {@link WeightPlan.dtype}. One of the three is a float: the norm has been checked to be. */
function computeDtype(sources: ReadonlyMap<string, WeightSource>, stem: string): FloatDtype {
  for (const name of ["embed_tokens.weight", "embed_tokens.scales", "norm.weight"]) {
    const stored = sources.get(stem + name)?.dtype;
    const dtype = stored && floatDtype(stored);
    if (dtype) return dtype;
  }
  return "bfloat16";
}
