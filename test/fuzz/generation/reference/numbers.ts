// Gemma 4's arithmetic in float64 on plain arrays: slow, and nothing of it shared with the product.
import { floatsOf, type StoredTensor } from "../../../support/tensors.js";

export type Vector = Float64Array;
/** Looks a tensor up. */
export type Weights = (name: string) => Float32Array;

export function weightsOf(values: ReadonlyMap<string, StoredTensor>, prefix = ""): Weights {
  return (name) => {
    const tensor = values.get(prefix + name);
    if (!tensor) throw new Error(`${prefix}${name} is missing`);
    return floatsOf(tensor);
  };
}

/** matrix (rows, x.length) · x */
export function product(matrix: Float32Array, x: Vector, rows = matrix.length / x.length): Vector {
  const out = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = 0;
    for (let i = 0; i < x.length; i++, at++) sum += (matrix[at] ?? 0) * (x[i] ?? 0);
    out[row] = sum;
  }
  return out;
}

export function rmsNorm(x: Vector, weight?: Float32Array): Vector {
  const square = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  const factor = 1 / Math.sqrt(square + 1e-6);
  return x.map((value, i) => value * factor * (weight?.[i] ?? 1));
}

export const add = (a: Vector, b: Vector): Vector => a.map((value, i) => value + (b[i] ?? 0));
export const times = (a: Vector, factor: number): Vector => a.map((value) => value * factor);

export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** down(gelu(gate(x)) · up(x)) */
export function mlp(x: Vector, gate: Float32Array, up: Float32Array, down: Float32Array): Vector {
  const ups = product(up, x);
  return product(
    down,
    product(gate, x).map((value, i) => gelu(value) * (ups[i] ?? 0)),
  );
}

export function softmax(scores: Vector): Vector {
  const top = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

/** Heads of size d, one after the other, turned for a position; pair j is (j, j + d/2). */
export function rope(x: Vector, position: number, frequencies: readonly number[]): Vector {
  const half = frequencies.length;
  const out = Float64Array.from(x);
  for (let head = 0; head < x.length; head += 2 * half) {
    for (const [j, frequency] of frequencies.entries()) {
      const [a = 0, b = 0] = [x[head + j], x[head + half + j]];
      const [cos, sin] = [Math.cos(position * frequency), Math.sin(position * frequency)];
      out[head + j] = a * cos - b * sin;
      out[head + half + j] = b * cos + a * sin;
    }
  }
  return out;
}

/** Each head of size `d` by itself. */
export function normHeads(x: Vector, d: number, weight?: Float32Array): Vector {
  const out = new Float64Array(x.length);
  for (let head = 0; head < x.length; head += d) out.set(rmsNorm(x.subarray(head, head + d), weight), head);
  return out;
}

/** Queries (heads · d) over rows of keys and values (kvHeads · d); the scale is 1. */
export function attend(query: Vector, keys: readonly Vector[], values: readonly Vector[], d: number): Vector {
  const out = new Float64Array(query.length);
  const kvHeads = (keys[0]?.length ?? d) / d;
  const group = query.length / d / kvHeads;
  for (let head = 0; head * d < query.length; head++) {
    const kv = Math.floor(head / group) * d;
    const scores = new Float64Array(keys.length);
    for (let row = 0; row < scores.length; row++) {
      const key = keys[row] ?? out;
      let sum = 0;
      for (let i = 0; i < d; i++) sum += (query[head * d + i] ?? 0) * (key[kv + i] ?? 0);
      scores[row] = sum;
    }
    const shares = softmax(scores);
    for (let row = 0; row < shares.length; row++) {
      const value = values[row] ?? out;
      const share = shares[row] ?? 0;
      for (let i = 0; i < d; i++) out[head * d + i] = (out[head * d + i] ?? 0) + share * (value[kv + i] ?? 0);
    }
  }
  return out;
}

/** Place of the largest value, and how far it is above that of `other`. */
export function best(values: Vector, other: number): { readonly index: number; readonly margin: number } {
  let index = 0;
  for (const [i, value] of values.entries()) if (value > (values[index] ?? 0)) index = i;
  return { index, margin: (values[index] ?? 0) - (values[other] ?? 0) };
}

/** The places of the `count` largest values, and how far the last of them is above the next one. */
export function topOf(
  values: Vector,
  count: number,
): { readonly chosen: readonly number[]; readonly margin: number } {
  const order = [...values.keys()].sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
  const [last = 0, next] = order.slice(count - 1, count + 1);
  const margin = next === undefined ? Number.POSITIVE_INFINITY : (values[last] ?? 0) - (values[next] ?? 0);
  return { chosen: order.slice(0, count), margin };
}
