import type { NativeQuantization } from "../mlx/native.js";
import type { Warning } from "../warnings.js";
import {
  assistantWeights,
  type ExpectedWeight,
  type ExpertsPackaging,
  targetWeights,
} from "./expected-weights.js";
import { checkpointError, quote } from "./json.js";
import { checkPacked, checkPlain, floatDtype } from "./packed.js";
import type { PackingRules } from "./packing-rules.js";
import { type Report, reporting, strict } from "./report.js";
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
  /** Told every weight that is missing or wrong; by default the first one is thrown. The plan leaves them out. */
  readonly report?: Report | undefined;
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
  const prefix = textPrefix(tensors);
  if (prefix === undefined) {
    const names = PREFIXES.map((candidate) => `${candidate}embed_tokens.weight`).join(", ");
    throw checkpointError(
      folder,
      `expected one of the tensors ${names}, found none of them; is this a Gemma 4 checkpoint?`,
    );
  }
  return plan(input, targetWeights(config, expertsPackaging(tensors)), prefix, "");
}

/** Where the experts of a target stand, if it has any. */
export function expertsPackaging(tensors: Pick<TensorDirectory, "has">): ExpertsPackaging {
  const first = `${textPrefix(tensors) ?? ""}layers.0.experts.switch_glu.gate_proj.weight`;
  return tensors.has(first) ? "split" : "stacked";
}

/** What stands before the names of a target's text model in a packaging; undefined: its embedding is nowhere. */
export function textPrefix(tensors: Pick<TensorDirectory, "has">): string | undefined {
  return PREFIXES.find((candidate) => tensors.has(`${candidate}embed_tokens.weight`));
}

/** Finds an assistant's weights; errors as in {@link planTarget}. */
export function planAssistant(input: PlanInput<AssistantConfig>): WeightPlan {
  return plan(input, assistantWeights(input.config), "", "model.");
}

/** @param stem what stands before `embed_tokens` and `norm` in canonical names */
function plan(
  { folder, tensors, packing, report = strict }: PlanInput<unknown>,
  expected: readonly ExpectedWeight[],
  prefix: string,
  stem: string,
): WeightPlan {
  const present = checkPresence(folder, expected, prefix, tensors, report);
  const sources = new Map<string, WeightSource>();
  const quantization: Record<string, NativeQuantization> = {};
  const warnings: Warning[] = [];
  const found = { folder, prefix, tensors, packing };
  const planOne = (weight: ExpectedWeight): void => {
    const module = weight.name.replace(/\.weight$/, "");
    const packed = tensors.has(`${prefix}${module}.scales`);
    if (!packed) {
      sources.set(weight.name, source(prefix + weight.name, checkPlain(weight, found)));
      return;
    }
    const { quantization: how, parts } = checkPacked(weight, module, found);
    quantization[module] = how;
    for (const [part, info] of Object.entries(parts)) {
      sources.set(`${module}.${part}`, source(`${prefix}${module}.${part}`, info));
    }
    if (module === "masked_embedding.centroids") {
      warnings.push({
        code: "packed-centroids",
        message: `${folder}: the assistant's centroids are packed in ${how.bits} bits, which costs accepted drafts; they are read as they are, a conversion that leaves them out drafts better`,
      });
    }
  };
  for (const weight of present) reporting(report, prefix + weight.name, () => planOne(weight));
  const bytes = [...sources.values()].reduce((sum, { bytes: own }) => sum + own, 0);
  return { tensors: sources, dtype: computeDtype(sources, stem), bytes, quantization, warnings };
}

function source(name: string, info: TensorInfo): WeightSource {
  return { ...info, name };
}

/** Strict, one error stands for all that is missing; else each has its own. @returns the weights that are there */
function checkPresence(
  folder: string,
  expected: readonly ExpectedWeight[],
  prefix: string,
  tensors: TensorDirectory,
  report: Report,
): ExpectedWeight[] {
  const missing = expected.filter(({ name }) => !tensors.has(prefix + name));
  const others = report === strict && missing.length > 1 ? ` (and ${missing.length - 1} more)` : "";
  for (const { name } of missing) {
    report(
      checkpointError(
        folder,
        `expected tensor ${quote(prefix + name)}${others}, found nothing of that name; download the weights again, or the config.json that belongs to them`,
      ),
      prefix + name,
    );
  }
  return missing.length === 0 ? [...expected] : expected.filter(({ name }) => tensors.has(prefix + name));
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
