import type { NativeQuantization, QuantizationMode } from "../mlx/native.js";
import type { ConfigFiles } from "./config.js";
import { checkpointError, describe, isObject, quote } from "./json.js";
import { at, type Place, unsupported } from "./schema.js";

type Json = Readonly<Record<string, unknown>>;

/** What config.json says of one module. */
export interface PackingRule {
  /** `file: path` of what was said, for errors. */
  readonly where: string;
  /** What the module's own entry says; `default`: it has none, the block's parameters hold. */
  readonly says: "packed" | "not packed" | "default";
  /**
   * How it is packed if it is.
   *
   * @throws MlxGemmaError `checkpoint` for parameters that cannot be, `unsupported` for those of another version.
   */
  parameters(): NativeQuantization;
}

/** MLX's `quantization` block. */
export interface PackingRules {
  /** The rule of one module, by canonical name. */
  of(module: string): PackingRule;
}

/** Group sizes and bits of each mode that the pinned MLX packs in; the defaults stand first. */
const MODES: Readonly<Record<QuantizationMode, { readonly groups: number[]; readonly bits: number[] }>> = {
  affine: { groups: [64, 32, 128], bits: [4, 2, 3, 5, 6, 8] },
  mxfp4: { groups: [32], bits: [4] },
  mxfp8: { groups: [32], bits: [8] },
  nvfp4: { groups: [16], bits: [4] },
};

/** Keys of the block that are no module's. */
export const PACKING_OPTIONS: ReadonlySet<string> = new Set([
  "group_size",
  "bits",
  "mode",
  "quantize_input",
  "quant_method",
  "linear_class",
]);
/** By these a block of another format is told where it has no `quant_method`. */
const FOREIGN = [
  "quant_algo",
  "config_groups",
  "load_in_4bit",
  "load_in_8bit",
  "quant_type",
  "modules_to_not_convert",
];
const ADVICE = "use a conversion to MLX, or the weights as they were before (bf16)";

/**
 * Reads the `quantization` block of a config.json (conversions write it as `quantization_config` too), with its entries
 * by module: an object of parameters, or false. An entry's mode is affine unless it says another, whatever the
 * block's: so MLX reads it.
 *
 * @param of whose config it is: a target's keys may carry the prefix of any packaging
 * @returns undefined where there is none
 * @throws MlxGemmaError `unsupported` for other formats than MLX's, `checkpoint` for a broken block.
 */
export function packingRules(
  { file, config }: Pick<ConfigFiles, "file" | "config">,
  of: "target" | "assistant",
): PackingRules | undefined {
  if (!isObject(config)) return undefined;
  const moduleOf = of === "target" ? targetModule : (key: string) => key;
  const text = isObject(config.text_config) ? config.text_config : {};
  return (
    blockRules(config, { file, path: "" }, moduleOf) ??
    blockRules(text, { file, path: "text_config" }, moduleOf)
  );
}

function blockRules(config: Json, place: Place, moduleOf: (key: string) => string): PackingRules | undefined {
  const key = ["quantization", "quantization_config"].find((name) => (config[name] ?? null) !== null);
  if (key === undefined) return undefined;
  const block = config[key];
  const where = at(place, key);
  if (!isObject(block)) {
    throw checkpointError(where, `expected an object, found ${describe(block)}; download config.json again`);
  }
  refuseForeign(block, where);
  const entries = ownEntries(block, where, moduleOf);
  return {
    of(module) {
      const own = entries.get(module);
      const value = own?.value || block;
      const place = own?.where ?? where;
      return {
        where: place,
        says: own ? (own.value === false ? "not packed" : "packed") : "default",
        parameters: () => parameters(value, place),
      };
    },
  };
}

/** The canonical name of a target's module: without the prefixes of any packaging. */
function targetModule(key: string): string {
  return key.replace(/^(?:(?:model|language_model)\.)+/, "");
}

interface Entry {
  readonly where: string;
  readonly value: Json | false;
}

function ownEntries(block: Json, where: string, moduleOf: (key: string) => string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [key, value] of Object.entries(block)) {
    if (PACKING_OPTIONS.has(key)) continue;
    // `true` stands for the default, and what is neither is no module's.
    if (value !== false && !isObject(value)) continue;
    const module = moduleOf(key);
    const entry: Entry = { where: `${where}.${quote(key)}`, value };
    const known = entries.get(module);
    if (known && JSON.stringify(known.value) !== JSON.stringify(value)) {
      throw checkpointError(
        entry.where,
        `expected what ${known.where} says of the same module, found another value; mend config.json`,
      );
    }
    entries.set(module, entry);
  }
  return entries;
}

function refuseForeign(block: Json, where: string): void {
  const method = block.quant_method;
  if (method !== undefined && method !== null && method !== "mlx") {
    throw unsupported(where, `the weights are quantized by ${describe(method)}`, ADVICE);
  }
  const foreign = FOREIGN.find((key) => Object.hasOwn(block, key));
  if (foreign !== undefined) {
    throw unsupported(where, `the weights are quantized in another format than MLX's (${foreign})`, ADVICE);
  }
  if (block.quantize_input === true) {
    throw unsupported(where, "activations are quantized, too (quantize_input)", ADVICE);
  }
}

function parameters(object: Json, where: string): NativeQuantization {
  const name = object.mode ?? "affine";
  const mode = modeOf(name);
  if (!mode) {
    if (typeof name !== "string") {
      throw checkpointError(
        where,
        `mode: expected a text, found ${describe(name)}; download config.json again`,
      );
    }
    throw unsupported(where, `the weights are quantized in mode ${describe(name)}`, ADVICE);
  }
  if (object.quantize_input === true) {
    throw unsupported(where, "activations are quantized, too (quantize_input)", ADVICE);
  }
  const { groups, bits } = MODES[mode];
  return {
    groupSize: oneOf(object.group_size, "group_size", groups, mode, where),
    bits: oneOf(object.bits, "bits", bits, mode, where),
    mode,
  };
}

function modeOf(name: unknown): QuantizationMode | undefined {
  switch (name) {
    case "affine":
    case "mxfp4":
    case "mxfp8":
    case "nvfp4":
      return name;
    default:
      return undefined;
  }
}

function oneOf(value: unknown, key: string, allowed: number[], mode: string, where: string): number {
  const given = value ?? allowed[0];
  if (typeof given === "number" && allowed.includes(given)) return given;
  const sorted = [...allowed].sort((a, b) => a - b);
  throw checkpointError(
    where,
    `${key}: expected ${sorted.join(", ")} in mode ${mode}, found ${describe(value)}; use a checkpoint with one of these`,
  );
}
