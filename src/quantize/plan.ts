import { ITEM_SIZE } from "../checkpoint/dtypes.js";
import type { FloatDtype, StoredDtype, TensorInfo } from "../checkpoint/types.js";
import type { NativeQuantization } from "../mlx/native.js";
import type { DtypeName } from "../options.js";
import { type Kept, packModule } from "./modules.js";
import type { Packing } from "./options.js";
import type { Source } from "./source.js";

/** A tensor to write. */
export interface OutputTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/**
 * Which rows of a source make an output: of every `period` rows the `count` that begin at `offset`. All of them is
 * one period.
 */
export interface Rows {
  readonly offset: number;
  readonly count: number;
  readonly period: number;
  /** Rows of the whole source. */
  readonly total: number;
}

/** What is made of a source tensor. */
export interface Job {
  readonly source: TensorInfo;
  readonly rows: Rows;
  /** Values of one row. */
  readonly columns: number;
  /** Absent: the bytes as they are. */
  readonly cast?: FloatDtype;
  /** Absent: not packed. */
  readonly quantization?: NativeQuantization;
  /** The tensor; or when packed weight, scales and in affine mode biases. */
  readonly outputs: readonly OutputTensor[];
}

/** All that is written, decided before the first byte. */
export interface QuantizePlan {
  /** In the order of the source's files, so that they are read from front to back. */
  readonly jobs: readonly Job[];
  /** By module name in the output; only where it differs from the base. */
  readonly overrides: ReadonlyMap<string, NativeQuantization>;
  /** Modules that are packed, by canonical name. */
  readonly packed: ReadonlyMap<string, NativeQuantization>;
  /** Modules that keep their floats though they are matrices, by canonical name. */
  readonly kept: ReadonlyMap<string, Kept>;
  /** Tensors of the source that no Gemma 4 model reads. */
  readonly left: readonly string[];
  /** Weights of the text model or assistant, tables of integers apart. */
  readonly parameters: number;
  /** Bytes of these weights, before and after. */
  readonly bytes: { readonly before: number; readonly after: number };
  /** Bytes of all tensors that are written. */
  readonly totalBytes: number;
}

export const FLOAT_OF = { bf16: "bfloat16", f16: "float16", f32: "float32" } as const satisfies Record<
  DtypeName,
  FloatDtype
>;

/** Parts of a container beside the text model, as mlx-vlm names them (without `model.`), by the key of their config. */
const PARTS = [
  ["vision_config", /^(vision_tower|embed_vision|multi_modal_projector|vision_embedder)\./],
  ["audio_config", /^(audio_tower|embed_audio)\./],
] as const;

/** Decides what each tensor of the output is made of. */
export function planOutput(
  source: Source,
  packing: Packing,
  options: { readonly dtype?: DtypeName | undefined; readonly quantizeEmbedding?: boolean | undefined } = {},
): QuantizePlan {
  const cast = options.dtype && FLOAT_OF[options.dtype];
  const context = {
    layers: source.layers,
    centroidHead: source.centroidHead,
    quantizeEmbedding: options.quantizeEmbedding === true,
  };
  const prefix = outputPrefix(source);
  const jobs: Job[] = [];
  const overrides = new Map<string, NativeQuantization>();
  const packed = new Map<string, NativeQuantization>();
  const kept = new Map<string, Kept>();
  const taken = new Set<string>();
  let parameters = 0;
  const bytes = { before: 0, after: 0 };
  for (const [canonical, { name }] of source.plan.tensors) {
    const info = source.tensors.get(name);
    if (!info) continue; // The plan was made of these tensors.
    taken.add(name);
    for (const part of partsOf(canonical, info)) {
      const to = isFloat(info.dtype) && cast !== info.dtype ? cast : undefined;
      const choice =
        part.module === undefined
          ? undefined
          : packModule({ name: part.module, columns: part.columns }, packing, context);
      const job = makeJob(part, info, prefix, to, typeof choice === "object" ? choice : undefined);
      if (part.module !== undefined && choice !== undefined) {
        if (typeof choice === "string") kept.set(part.module, choice);
        else {
          packed.set(part.module, choice);
          if (!same(choice, packing.base)) overrides.set(prefix + part.module, choice);
        }
      }
      jobs.push(job);
      if (isFloat(info.dtype)) {
        const share = part.rows.count / part.rows.period;
        parameters += (info.bytes / ITEM_SIZE[info.dtype]) * share;
        bytes.before += info.bytes * share;
        bytes.after += job.outputs.reduce((sum, output) => sum + output.bytes, 0);
      }
    }
  }
  const left: string[] = [];
  for (const [name, info] of source.tensors) {
    if (taken.has(name)) continue;
    const bare = name.replace(/^model\./, "");
    // A folder may hold both spellings of a name: only one can stand in the output.
    const twice = bare !== name && source.tensors.has(bare);
    if (prefix === NESTED && !twice && isDescribed(bare, source)) jobs.push(passThrough(bare, info));
    else left.push(name);
  }
  jobs.sort((a, b) => compare(a.source.file, b.source.file) || a.source.offset - b.source.offset);
  const totalBytes = jobs.flatMap(({ outputs }) => outputs).reduce((sum, output) => sum + output.bytes, 0);
  return { jobs, overrides, packed, kept, left, parameters, bytes, totalBytes };
}

const NESTED = "language_model.model.";

/**
 * What stands before canonical names in the output, so that mlx-lm and mlx-vlm find them: an assistant's names are
 * whole, a container's text model is nested, one of its own is not.
 */
function outputPrefix({ kind, config, text }: Source): string {
  if (kind === "assistant") return "";
  return text === config ? "model." : NESTED;
}

interface Part {
  /** Without the output's prefix. */
  readonly name: string;
  /** Canonical name of the module when it is a matrix (or a stack of them). */
  readonly module?: string;
  readonly shape: readonly number[];
  readonly rows: Rows;
  readonly columns: number;
}

/** The outputs of one source tensor: one, but for the experts' `gate_up_proj`, which MLX keeps in two. */
function partsOf(canonical: string, { shape }: TensorInfo): Part[] {
  const columns = shape.at(-1) ?? 1;
  const total = shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const all: Rows = { offset: 0, count: total, period: total, total };
  const [, experts, projection] = /^(.*\.experts)\.(gate_up_proj|down_proj)$/.exec(canonical) ?? [];
  if (experts !== undefined && projection === "gate_up_proj") {
    const [count = 0, both = 0] = shape;
    const half = both / 2;
    return ["gate_proj", "up_proj"].map((name, index): Part => {
      const module = `${experts}.switch_glu.${name}`;
      const rows = { offset: index * half, count: half, period: both, total };
      return { name: `${module}.weight`, module, shape: [count, half, columns], rows, columns };
    });
  }
  const name = experts === undefined ? canonical : `${experts}.switch_glu.down_proj.weight`;
  const module =
    name.endsWith(".weight") && shape.length > 1 ? { module: name.slice(0, -".weight".length) } : {};
  return [{ name, ...module, shape, rows: all, columns }];
}

function makeJob(
  part: Part,
  source: TensorInfo,
  prefix: string,
  cast: FloatDtype | undefined,
  quantization: NativeQuantization | undefined,
): Job {
  const { rows, columns, shape } = part;
  const dtype = cast ?? source.dtype;
  const common = { source, rows, columns, ...(cast ? { cast } : {}) };
  if (!quantization) return { ...common, outputs: [tensor(prefix + part.name, dtype, shape)] };
  const { bits, groupSize, mode } = quantization;
  const module = prefix + part.name.slice(0, -".weight".length);
  const leading = shape.slice(0, -1);
  const groups = [...leading, columns / groupSize];
  const outputs = [tensor(`${module}.weight`, "uint32", [...leading, (columns * bits) / 32])];
  if (mode === "affine")
    outputs.push(tensor(`${module}.scales`, dtype, groups), tensor(`${module}.biases`, dtype, groups));
  else outputs.push(tensor(`${module}.scales`, "uint8", groups));
  return { ...common, quantization, outputs };
}

/** Whether the config has the part that a tensor belongs to: mlx-vlm builds a part of a config, or none. */
function isDescribed(name: string, { config }: Source): boolean {
  return PARTS.some(([key, names]) => names.test(name) && (config[key] ?? null) !== null);
}

function passThrough(name: string, source: TensorInfo): Job {
  const columns = source.bytes / ITEM_SIZE[source.dtype];
  const rows = { offset: 0, count: 1, period: 1, total: 1 };
  return { source, rows, columns, outputs: [tensor(name, source.dtype, source.shape)] };
}

function tensor(name: string, dtype: StoredDtype, shape: readonly number[]): OutputTensor {
  return { name, dtype, shape, bytes: shape.reduce((product, n) => product * n, ITEM_SIZE[dtype]) };
}

function isFloat(dtype: StoredDtype): dtype is FloatDtype {
  return dtype === "bfloat16" || dtype === "float16" || dtype === "float32";
}

function same(a: NativeQuantization, b: NativeQuantization): boolean {
  return a.bits === b.bits && a.groupSize === b.groupSize && a.mode === b.mode;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
