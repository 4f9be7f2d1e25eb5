import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openTarget } from "../../src/checkpoint/index.js";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { evaluate, fromInt32, type MlxArray, readFloat32 } from "../../src/mlx/array.js";
import { loadWeights } from "../../src/mlx/load-weights.js";
import * as ops from "../../src/mlx/ops.js";
import { Gemma4Target, type LoadTargetOptions } from "../../src/target/gemma4-target.js";
import type { StepOutput, TargetSession } from "../../src/target/target.js";

const GOLDEN = new URL("../golden/", import.meta.url);

/** The pairs of test/golden, each a family of models or a packaging. */
export const PAIRS: readonly string[] = readdirSync(GOLDEN).filter((name) =>
  existsSync(new URL(`${name}/golden.json`, GOLDEN)),
);

/** What golden.json says, as far as the target's tests need it. */
export interface Golden {
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
  readonly slidingWindow: number;
}

/** Rows of floats: (rows, width) in row-major order. */
export class Matrix {
  constructor(
    readonly values: Float32Array,
    readonly width: number,
  ) {}

  rows(begin: number, end: number): Float32Array {
    return this.values.subarray(begin * this.width, end * this.width);
  }
}

export function goldenFolder(name: string): string {
  return fileURLToPath(new URL(name, GOLDEN));
}

export function readGolden(name: string): Golden {
  return JSON.parse(readFileSync(new URL(`${name}/golden.json`, GOLDEN), "utf8"));
}

/** A float32 tensor of vectors.safetensors with its shape. */
export async function goldenTensor(
  name: string,
  tensor: string,
): Promise<{ values: Float32Array; shape: number[] }> {
  const info = readSafetensorsHeader(`${goldenFolder(name)}/vectors.safetensors`).get(tensor);
  if (!info) throw new Error(`${tensor} is missing`);
  const array = (await loadWeights(new Map([[tensor, info]]), () => undefined)).get(tensor);
  if (!array) throw new Error(`${tensor} was not read`);
  return { values: readFloat32(array), shape: [...array.shape] };
}

export async function goldenMatrix(name: string, tensor: string): Promise<Matrix> {
  const { values, shape } = await goldenTensor(name, tensor);
  return new Matrix(values, shape.at(-1) ?? 0);
}

export function loadGolden(name: string, options: LoadTargetOptions = {}): Promise<Gemma4Target> {
  return Gemma4Target.load(openTarget(`${goldenFolder(name)}/target`), options);
}

/** Values as float32, evaluated. */
export async function valuesOf(array: MlxArray): Promise<Float32Array> {
  const wide = ops.astype(array, "float32");
  await evaluate([[wide]]);
  const values = readFloat32(wide);
  wide.dispose();
  return values;
}

/** What a step needs of a session. */
export type Steps = Pick<TargetSession, "step" | "pending">;

/** One step on `ids`, evaluated: logits and hidden of every row. */
export async function stepOn(session: Steps, ids: readonly number[]): Promise<StepValues> {
  const output = session.step(fromInt32(Int32Array.from(ids), [1, ids.length]));
  await evaluate([[output.logits, output.lastHidden, ...session.pending()]]);
  return stepValues(output);
}

export interface StepValues {
  readonly logits: Matrix;
  readonly hidden: Matrix;
}

export async function stepValues({ logits, lastHidden }: StepOutput): Promise<StepValues> {
  return {
    logits: new Matrix(await valuesOf(logits), logits.shape.at(-1) ?? 0),
    hidden: new Matrix(await valuesOf(lastHidden), lastHidden.shape.at(-1) ?? 0),
  };
}

/** Largest difference over the largest expected value; NaN and another length are infinitely far. */
export function distance(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let worst = 0;
  for (const [i, value] of expected.entries()) {
    const gap = Math.abs((found[i] ?? Number.NaN) - value);
    if (Number.isNaN(gap)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(value));
    worst = Math.max(worst, gap);
  }
  return worst / largest;
}

/** The same bits: what `Object.is` says of every value. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}

export function argmax(row: Float32Array): number {
  let best = 0;
  for (const [i, value] of row.entries()) if (value > (row[best] ?? Number.NEGATIVE_INFINITY)) best = i;
  return best;
}

/** Small reproducible numbers in [0, bound). */
export function randoms(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
