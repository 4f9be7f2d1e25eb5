import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openAssistant } from "../../src/checkpoint/index.js";
import { Gemma4Assistant } from "../../src/drafter/gemma4-assistant.js";
import { evaluate, fromFloat32, type MlxArray } from "../../src/mlx/array.js";
import type { LayerType } from "../../src/mlx/native.js";
import type { KeysValues, SharedKv } from "../../src/target/target.js";
import { type Golden, goldenFolder, goldenMatrix, goldenTensor } from "../target/helpers.js";

/** A round of six draft steps, as golden.json describes it. */
export interface GoldenRound {
  readonly position: number;
  readonly bonus: number;
  readonly tokens: readonly number[];
  /** How many of the tokens the reference accepts; only past the prompt. */
  readonly accepted?: number;
  readonly centroidTopK?: readonly (readonly number[])[];
  readonly candidates?: readonly (readonly number[])[];
}

export interface GoldenDrafts extends Golden {
  readonly draft: readonly GoldenRound[];
  readonly report: { readonly acceptanceRateK3: number };
}

export function readDrafts(name: string): GoldenDrafts {
  return JSON.parse(readFileSync(join(goldenFolder(name), "golden.json"), "utf8"));
}

export function loadAssistant(name: string): Promise<Gemma4Assistant> {
  return Gemma4Assistant.load(openAssistant(join(goldenFolder(name), "assistant")), { dtype: "float32" });
}

/** Which keys a query sees of each layer type: [first, end). */
export type Visible = Readonly<Record<LayerType, readonly [number, number]>>;

/** What the specification lets a query at `position` see. */
export function visibleAt(position: number, slidingWindow: number): Visible {
  return {
    full_attention: [0, position],
    sliding_attention: [Math.max(0, position - slidingWindow + 1), position],
  };
}

/** The reference's shared K/V of the whole text, cut for a round. */
export async function goldenKv(
  name: string,
): Promise<(visible: Visible) => { readonly [T in LayerType]: KeysValues }> {
  const tensors = new Map<string, { values: Float32Array; shape: number[] }>();
  for (const type of ["full_attention", "sliding_attention"]) {
    for (const part of ["keys", "values"]) {
      tensors.set(`${type}.${part}`, await goldenTensor(name, `sequence.shared_kv.${type}.${part}`));
    }
  }
  const cut = (tensor: string, [first, end]: readonly [number, number]): MlxArray => {
    const { values, shape } = tensors.get(tensor) ?? { values: new Float32Array(), shape: [] };
    const [heads = 0, length = 0, width = 0] = shape;
    const rows = new Float32Array(heads * (end - first) * width);
    for (let head = 0; head < heads; head++) {
      const from = head * length * width;
      rows.set(values.subarray(from + first * width, from + end * width), head * (end - first) * width);
    }
    return fromFloat32(rows, [1, heads, end - first, width]);
  };
  const pair = (type: LayerType, visible: Visible): KeysValues => ({
    keys: cut(`${type}.keys`, visible[type]),
    values: cut(`${type}.values`, visible[type]),
  });
  return (visible) => ({
    full_attention: pair("full_attention", visible),
    sliding_attention: pair("sliding_attention", visible),
  });
}

/** Row `position` of the reference's last_hidden, (1, 1, H). */
export async function goldenHidden(name: string): Promise<(position: number) => MlxArray> {
  const rows = await goldenMatrix(name, "sequence.last_hidden");
  return (position) => fromFloat32(rows.rows(position, position + 1).slice(), [1, 1, rows.width]);
}

/** Evaluates K/V, so that they are there before a graph is counted. */
export function evaluateKv(shared: SharedKv): Promise<unknown> {
  const pairs = [shared.full_attention, shared.sliding_attention].filter((pair) => pair !== undefined);
  return evaluate([pairs.flatMap(({ keys, values }) => [keys, values])]);
}
