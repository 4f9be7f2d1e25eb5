import type { NativeQuantization } from "../mlx/native.js";
import type { ExpectedWeight } from "./expected-weights.js";
import { checkpointError, quote } from "./json.js";
import type { PackingRule, PackingRules } from "./packing-rules.js";
import { unsupported } from "./schema.js";
import type { TensorDirectory } from "./shards.js";
import type { FloatDtype, StoredDtype, TensorInfo } from "./types.js";

/** Where a plan's tensors are looked up. */
export interface Lookup {
  readonly folder: string;
  /** Before every canonical name. */
  readonly prefix: string;
  readonly tensors: TensorDirectory;
  readonly packing: PackingRules | undefined;
}

/** A packed module's tensors. */
export interface PackedParts {
  readonly weight: TensorInfo;
  readonly scales: TensorInfo;
  /** In affine mode. */
  readonly biases?: TensorInfo;
}

/** A second scale of a whole tensor, which other tools write beside nvfp4 and fp8 weights. */
const TENSOR_SCALES = [
  "weight_scale",
  "weight_scale_2",
  "weight_global_scale",
  "global_scale",
  "input_scale",
];
const BELONGS = "is this config.json the one of these weights?";

/**
 * Checks a tensor that is not packed.
 *
 * @throws MlxGemmaError `checkpoint` for another shape or dtype, `unsupported` for a packing that MLX does not write.
 */
export function checkPlain(weight: ExpectedWeight, lookup: Lookup): TensorInfo {
  const { name, info, where } = tensorOf(weight.name, lookup);
  const isIndex = weight.kind === "index";
  const fits = isIndex ? info.dtype === "int32" || info.dtype === "int64" : floatDtype(info.dtype);
  if (!fits) {
    if (info.dtype === "uint32" && weight.kind === "matrix") {
      throw checkpointError(
        where,
        `expected ${quote(name.replace(/weight$/, "scales"))} beside packed weights (uint32), found nothing of that name; download the weights again`,
      );
    }
    const kinds = isIndex ? "int32 or int64" : "bfloat16, float16 or float32";
    throw checkpointError(
      where,
      `expected ${kinds}, found ${info.dtype}; download a checkpoint in that type`,
    );
  }
  const rule = weight.kind === "matrix" ? lookup.packing?.of(moduleOf(weight)) : undefined;
  if (rule?.says === "packed") {
    throw checkpointError(
      where,
      `expected it packed as ${rule.where} says (${tell(rule.parameters())}), found ${info.dtype} without scales; ${BELONGS}`,
    );
  }
  if (weight.kind === "matrix") refuseTensorScales(moduleOf(weight), where, lookup);
  checkShape(info, weight.shape, where, BELONGS);
  return info;
}

/**
 * Checks the tensors of a packed module (one that has `scales`) against what config.json says of it.
 *
 * @throws MlxGemmaError `checkpoint` when both disagree, or when the module must not be packed.
 */
export function checkPacked(
  weight: ExpectedWeight,
  module: string,
  lookup: Lookup,
): { readonly quantization: NativeQuantization; readonly parts: PackedParts } {
  const { name, info, where } = tensorOf(weight.name, lookup);
  const scalesName = `${module}.scales`;
  if (weight.kind !== "matrix") {
    throw checkpointError(
      where,
      `expected no ${quote(lookup.prefix + scalesName)}, since ${weight.kind === "index" ? "index tables are" : "this tensor is"} never packed, found it; download another conversion`,
    );
  }
  const rule = ruleOf(module, name, where, lookup);
  if (rule.says === "not packed") {
    throw checkpointError(
      where,
      `expected it not packed, as ${rule.where} says (false), found ${quote(lookup.prefix + scalesName)}; ${BELONGS}`,
    );
  }
  const how = rule.parameters();
  const because = `for ${tell(how)} as ${rule.where} says`;
  const width = weight.shape.at(-1) ?? 0;
  if (width % how.groupSize !== 0 || (width * how.bits) % 32 !== 0) {
    throw checkpointError(
      where,
      `expected rows of whole groups ${because}, found rows of ${width} values; ${BELONGS}`,
    );
  }
  if (info.dtype !== "uint32") {
    throw checkpointError(where, `expected uint32 ${because}, found ${info.dtype}; ${BELONGS}`);
  }
  const rows = weight.shape.slice(0, -1);
  checkShape(info, [...rows, (width * how.bits) / 32], where, `${because}; ${BELONGS}`);
  refuseTensorScales(module, where, lookup);
  const groups = [...rows, width / how.groupSize];
  const group = (part: string) => groupTensor(`${module}.${part}`, groups, how, because, lookup);
  const biasesName = `${module}.biases`;
  const hasBiases = lookup.tensors.has(lookup.prefix + biasesName);
  if (hasBiases !== (how.mode === "affine")) {
    throw checkpointError(
      where,
      `expected ${hasBiases ? "no " : ""}${quote(lookup.prefix + biasesName)} ${because}, found ${hasBiases ? "it" : "none"}; ${BELONGS}`,
    );
  }
  const parts = { weight: info, scales: group("scales"), ...(hasBiases ? { biases: group("biases") } : {}) };
  return { quantization: how, parts };
}

/** The dtype as one that can be run. */
export function floatDtype(dtype: StoredDtype): FloatDtype | undefined {
  return dtype === "bfloat16" || dtype === "float16" || dtype === "float32" ? dtype : undefined;
}

function ruleOf(module: string, name: string, where: string, { packing, folder }: Lookup): PackingRule {
  if (packing) return packing.of(module);
  throw checkpointError(
    where,
    `expected a quantization block in the config.json of ${folder}, since ${quote(name)} has scales, found none; download the config.json that belongs to these weights`,
  );
}

function groupTensor(
  canonical: string,
  shape: readonly number[],
  how: NativeQuantization,
  because: string,
  lookup: Lookup,
): TensorInfo {
  const { info, where } = tensorOf(canonical, lookup);
  const fits = how.mode === "affine" ? floatDtype(info.dtype) : info.dtype === "uint8";
  if (!fits) {
    const kinds = how.mode === "affine" ? "bfloat16, float16 or float32" : "uint8";
    throw checkpointError(where, `expected ${kinds} ${because}, found ${info.dtype}; ${BELONGS}`);
  }
  checkShape(info, shape, where, `${because}; ${BELONGS}`);
  return info;
}

function tensorOf(
  canonical: string,
  { folder, prefix, tensors }: Lookup,
): { readonly name: string; readonly info: TensorInfo; readonly where: string } {
  const name = prefix + canonical;
  const info = tensors.get(name);
  if (!info) {
    throw checkpointError(
      folder,
      `expected tensor ${quote(name)}, found nothing of that name; download the weights again`,
    );
  }
  return { name, info, where: `${info.file}: tensor ${quote(name)}` };
}

function refuseTensorScales(module: string, where: string, { prefix, tensors }: Lookup): void {
  const part = TENSOR_SCALES.find((name) => tensors.has(`${prefix}${module}.${name}`));
  if (part === undefined) return;
  throw unsupported(
    where,
    `the weights have a scale of the whole tensor (${part})`,
    "use a conversion to MLX, or the weights as they were before (bf16)",
  );
}

function checkShape(info: TensorInfo, shape: readonly number[], where: string, after: string): void {
  if (shape.length === info.shape.length && shape.every((size, axis) => size === info.shape[axis])) return;
  throw checkpointError(
    where,
    `expected shape [${shape.join(", ")}], found [${info.shape.join(", ")}]${after.startsWith("for") ? " " : "; "}${after}`,
  );
}

function moduleOf(weight: ExpectedWeight): string {
  return weight.name.replace(/\.weight$/, "");
}

function tell({ bits, groupSize, mode }: NativeQuantization): string {
  return `${bits} bits in groups of ${groupSize}, ${mode}`;
}
