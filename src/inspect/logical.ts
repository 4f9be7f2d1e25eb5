import type { PackingRules } from "../checkpoint/packing-rules.js";
import type { TensorInfo } from "../checkpoint/types.js";
import type { NativeQuantization } from "../mlx/native.js";
import type { Encoded, Selection, Stored } from "./values/encoding.js";

/** A tensor as the model sees it: a packed weight with its scales and biases is one. */
export interface LogicalTensor {
  /** In the files; of a packed module its `.weight`. */
  readonly name: string;
  /** Of the values. */
  readonly shape: readonly number[];
  /** The stored dtype, or how it is packed: `4 bit`. */
  readonly dtype: string;
  /** 0 for tables of integers. */
  readonly parameters: number;
  /** Of all its parts. */
  readonly bytes: number;
  readonly encoded: Encoded;
}

/** Joins the parts of packed modules, where config.json says how they are packed. */
export function logicalTensors(
  tensors: ReadonlyMap<string, TensorInfo>,
  packing: PackingRules | undefined,
  canonical: (name: string) => string,
): LogicalTensor[] {
  const result: LogicalTensor[] = [];
  const joined = new Set<string>();
  for (const [name, info] of tensors) {
    const packed = packedTensor(name, info, tensors, packing, canonical);
    if (!packed) continue;
    for (const part of packed.parts) joined.add(part);
    joined.add(name);
    result.push(packed.tensor);
  }
  for (const [name, info] of tensors) {
    if (!joined.has(name)) result.push(plainTensor(name, info));
  }
  return sortedByName(result, ({ name }) => name);
}

/** In the order of names, part by part, in which layer 2 stands before layer 10. */
export function sortedByName<T>(items: Iterable<T>, nameOf: (item: T) => string): T[] {
  const keyed = Array.from(items, (item) => ({ item, parts: nameOf(item).split(".").map(numberOr) }));
  return keyed.sort((a, b) => compareParts(a.parts, b.parts)).map(({ item }) => item);
}

function numberOr(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

function compareParts(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const place = a.findIndex((part, i) => part !== b[i]);
  const [one, other] = [a[place], b[place]];
  if (one === undefined || other === undefined) return a.length - b.length;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one) < String(other) ? -1 : 1;
}

/** Number of elements. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** All values of a tensor. */
export function wholeOf({ encoded, shape }: Pick<LogicalTensor, "encoded" | "shape">): Selection {
  const values = elements(shape);
  return { encoded, values, start: 0, block: Math.max(1, values), stride: Math.max(1, values) };
}

/** `4 bit`, or the mode where that says it. */
export function packedName({ bits, mode }: NativeQuantization): string {
  return mode === "affine" ? `${bits} bit` : mode;
}

function plainTensor(name: string, info: TensorInfo): LogicalTensor {
  const { shape, dtype, bytes } = info;
  const parameters = /^(?:float|bfloat)/.test(dtype) ? elements(shape) : 0;
  return { name, shape, dtype, parameters, bytes, encoded: { kind: "plain", stored: storedOf(info) } };
}

function packedTensor(
  name: string,
  weight: TensorInfo,
  tensors: ReadonlyMap<string, TensorInfo>,
  packing: PackingRules | undefined,
  canonical: (name: string) => string,
): { readonly tensor: LogicalTensor; readonly parts: readonly string[] } | undefined {
  if (weight.dtype !== "uint32" || !name.endsWith(".weight")) return undefined;
  const module = name.slice(0, -".weight".length);
  const names = [`${module}.scales`, `${module}.biases`] as const;
  const [scales, biases] = names.map((part) => tensors.get(part));
  const quantization = scales && quantizationOf(canonical(module), packing);
  if (!scales || !quantization) return undefined;
  const { bits, groupSize, mode } = quantization;
  const width = ((weight.shape.at(-1) ?? 0) * 32) / bits;
  const shape = [...weight.shape.slice(0, -1), width];
  const groups = elements(shape) / groupSize;
  const affine = mode === "affine";
  // What does not fit together is shown as it is stored.
  const fits =
    Number.isInteger(width / groupSize) &&
    elements(scales.shape) === groups &&
    (affine ? biases !== undefined && elements(biases.shape) === groups : scales.dtype === "uint8");
  if (!fits) return undefined;
  const encoded: Encoded = {
    kind: "packed",
    quantization,
    weight: storedOf(weight),
    scales: storedOf(scales),
    ...(affine && biases ? { biases: storedOf(biases) } : {}),
  };
  const bytes = weight.bytes + scales.bytes + (affine ? (biases?.bytes ?? 0) : 0);
  const tensor = {
    name,
    shape,
    dtype: packedName(quantization),
    parameters: elements(shape),
    bytes,
    encoded,
  };
  return { tensor, parts: affine ? names : [names[0]] };
}

function quantizationOf(module: string, packing: PackingRules | undefined): NativeQuantization | undefined {
  try {
    return packing?.of(module).parameters();
  } catch {
    return undefined; // The plan tells it as a flaw.
  }
}

function storedOf({ file, stamp, offset, dtype }: TensorInfo): Stored {
  return { file, stamp, offset, dtype };
}
